//! Several transports as one: the first that works, or each in its turn.
//!
//! The next one is asked only where surely nothing was sent: after an error of the way, or of the connection before the
//! dot. What a server says of a mail is an answer, and is not asked for elsewhere. A mail that may have been delivered by
//! one of them goes by no other: a second copy would not be recognised as one there. Where each has its turn, one whose
//! limits are reached leaves the mail to the next; where one stands by, the mail waits for the first.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use posthaste_domain::delivery::Class;
use tracing::info;

use crate::{
    envelope::Envelope,
    transport::{Gate, Receipt, Scope, SendError, Transport},
};

/// Which one is asked first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// The first in the list; the others stand by.
    Failover,
    /// Each in turn, as often as its weight says (at least 1 each, missing ones are 1).
    RoundRobin {
        /// In the order of the list.
        weights: Vec<u32>,
    },
}

/// Transports that stand in for each other.
pub struct Several {
    name: String,
    transports: Vec<Arc<dyn Transport>>,
    turns: Option<Mutex<Turns>>,
}

impl Several {
    /// These, in this order. `name` is what they are called together; attempts tell which one was used.
    #[must_use]
    pub fn of(name: &str, transports: Vec<Arc<dyn Transport>>, policy: Policy) -> Self {
        let turns = match policy {
            Policy::Failover => None,
            Policy::RoundRobin { weights } => {
                let weight = |number| weights.get(number).copied().unwrap_or(1).max(1).into();
                Some(Mutex::new(Turns {
                    weights: (0..transports.len()).map(weight).collect(),
                    credit: vec![0; transports.len()],
                }))
            }
        };
        Self {
            name: name.to_owned(),
            transports,
            turns,
        }
    }

    /// Whom to ask, in this order.
    fn order(&self, envelope: &Envelope) -> Vec<&Arc<dyn Transport>> {
        let stay = envelope.stay_with.as_deref();
        let stay = stay.and_then(|name| self.transports.iter().find(|one| one.name() == name));
        if let Some(one) = stay {
            return vec![one];
        }
        let first = self.turns.as_ref().map_or(0, |turns| {
            turns.lock().unwrap_or_else(PoisonError::into_inner).next()
        });
        let (before, from) = self.transports.split_at(first);
        from.iter().chain(before).collect()
    }
}

/// Smooth weighted turns: each gains its weight, the richest is next and pays what all gained. With weights 3 and 1 that
/// is a a b a, not a a a b.
#[derive(Debug)]
struct Turns {
    weights: Vec<i64>,
    credit: Vec<i64>,
}

impl Turns {
    fn next(&mut self) -> usize {
        for (credit, weight) in self.credit.iter_mut().zip(&self.weights) {
            *credit += weight;
        }
        let most = self.credit.iter().max().copied().unwrap_or_default();
        let next = self.credit.iter().position(|credit| *credit == most);
        let next = next.unwrap_or_default();
        if let Some(credit) = self.credit.get_mut(next) {
            *credit -= self.weights.iter().sum::<i64>();
        }
        next
    }
}

/// Whether surely nothing was sent, for a reason that another way may not have.
fn is_about_the_way(error: &SendError) -> bool {
    matches!(error.scope, Scope::Transport | Scope::Connection)
        && error.reply.class != Class::Uncertain
}

/// Whether the way works, and our own limits keep the mail back.
fn is_kept_back(error: &SendError) -> bool {
    error.scope == Scope::Transport
        && error.reply.class == Class::Throttled
        && error.reply.code.is_none()
}

#[async_trait]
impl Transport for Several {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
        gate: &Gate,
    ) -> Result<Receipt, SendError> {
        let mut failed: Option<SendError> = None;
        let mut soonest: Option<Duration> = None;
        for transport in self.order(envelope) {
            match transport.send(envelope, message, gate).await {
                Ok(mut receipt) => {
                    let trail = receipt.trail.get_or_insert_default();
                    trail.transport.get_or_insert(transport.name().to_owned());
                    return Ok(receipt);
                }
                Err(mut error) => {
                    let trail = error.trail.get_or_insert_default();
                    trail.transport.get_or_insert(transport.name().to_owned());
                    // One that stands by is not there for more mail than the first one may send.
                    let stays = self.turns.is_none() && is_kept_back(&error);
                    if stays || !is_about_the_way(&error) {
                        return Err(error);
                    }
                    info!(
                        message.id = %envelope.id,
                        transport = transport.name(),
                        text = error.reply.text,
                        "not by this way"
                    );
                    soonest = soonest.into_iter().chain(error.reply.retry_after).min();
                    failed = Some(error);
                }
            }
        }
        // The first of them that may work again decides when.
        let mut error = failed.expect("there is at least one transport");
        error.reply.retry_after = soonest;
        Err(error)
    }
}

impl fmt::Debug for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Several")
            .field("name", &self.name)
            .field("transports", &self.transports)
            .finish_non_exhaustive()
    }
}

//! What is known of the domains that a transport sends to.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use posthaste_domain::delivery::{Class, Reply};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

use super::{
    DomainLimits, Wait,
    pace::{Pace, Turns},
    slow::{Slow, Turn},
};
use crate::{
    by_domain::domain_of,
    envelope::Envelope,
    transport::{Receipt, SendError},
};

/// How long a mail stays away at least from a domain that already has as many under way as it may.
const BUSY: Duration = Duration::from_secs(30);
/// Most domains that are remembered; of those that nothing holds to, the one that was used least recently is forgotten.
const REMEMBERED: usize = 1000;

/// The domains of one transport.
pub(super) struct Destinations {
    transport: String,
    limits: DomainLimits,
    known: Mutex<HashMap<String, Known>>,
    /// Whether any has ever asked for less: until then, nothing has to be looked up.
    asked: AtomicBool,
}

struct Known {
    destination: Arc<Destination>,
    used: Instant,
}

impl Known {
    /// Whether forgetting it loses nothing: no mail is under way to it, and it has not asked for less.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.destination) == 1 && !self.destination.slow.is_on()
    }
}

/// One domain.
pub(super) struct Destination {
    places: Option<Semaphore>,
    pace: Option<Pace>,
    slow: Slow,
    away: Turns,
}

/// Room for one transaction.
pub(super) struct Place<'a> {
    _place: Option<SemaphorePermit<'a>>,
    _turn: Option<Turn<'a>>,
}

impl Destinations {
    pub(super) fn of(transport: &str, limits: DomainLimits) -> Self {
        Self {
            transport: transport.to_owned(),
            limits,
            known: Mutex::default(),
            asked: AtomicBool::new(false),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the domains of a mail have to be told apart.
    pub(super) fn matter_to(&self, envelope: &Envelope) -> bool {
        if self.limits.at_once.is_some() || self.limits.rate.is_some() {
            return true;
        }
        if !self.asked.load(Ordering::Relaxed) {
            return false;
        }
        let known = self.known();
        let mut domains = envelope.recipients.iter().map(domain_of);
        domains.any(|domain| {
            let known = known.get(&domain);
            known.is_some_and(|known| known.destination.slow.is_on())
        })
    }

    pub(super) fn get(&self, domain: &str) -> Arc<Destination> {
        let mut known = self.known();
        if let Some(known) = known.get_mut(domain) {
            known.used = Instant::now();
            return Arc::clone(&known.destination);
        }
        if known.len() >= REMEMBERED {
            let idle = known.iter().filter(|(_, known)| known.is_idle());
            let oldest = idle.min_by_key(|(_, known)| known.used);
            if let Some(oldest) = oldest.map(|(domain, _)| domain.clone()) {
                known.remove(&oldest);
            }
        }
        let bucket = || format!("{} {domain}", self.transport);
        let rate = self.limits.rate.as_ref();
        let destination = Arc::new(Destination {
            places: self.limits.at_once.map(Semaphore::new),
            pace: rate.map(|rate| Pace::of(Arc::clone(rate), bucket())),
            slow: Slow::default(),
            away: Turns::default(),
        });
        let entry = Known {
            destination: Arc::clone(&destination),
            used: Instant::now(),
        };
        known.insert(domain.to_owned(), entry);
        destination
    }

    /// Looks for a domain that asks for less in what was said of a whole mail.
    pub(super) fn learn(&self, envelope: &Envelope, sent: &Result<Receipt, SendError>) {
        let throttled = |reply: &Reply| reply.class == Class::Throttled;
        let mut asked = HashMap::new();
        match sent {
            Ok(receipt) => {
                let told = envelope.recipients.iter().zip(&receipt.replies);
                for (recipient, reply) in told.filter(|(_, reply)| throttled(reply)) {
                    asked.insert(domain_of(recipient), reply.retry_after);
                }
            }
            Err(error) if throttled(&error.reply) => {
                let domains = envelope.recipients.iter().map(domain_of);
                asked.extend(domains.map(|domain| (domain, error.reply.retry_after)));
            }
            Err(_) => {}
        }
        for (domain, wait) in asked {
            self.asked.store(true, Ordering::Relaxed);
            self.get(&domain).slow.asked(&domain, wait);
        }
    }
}

impl Destination {
    /// Room for one more, or how long it has to wait.
    pub(super) async fn enter(&self, domain: &str) -> Result<Place<'_>, Wait> {
        let place = match self.places.as_ref().map(Semaphore::try_acquire) {
            Some(Err(_)) => {
                return Err(Wait {
                    after: self.away.next(BUSY, Duration::from_millis(100)),
                    why: format!("as many mails as may be are under way to {domain}"),
                });
            }
            place => place.and_then(Result::ok),
        };
        let turn = self.slow.enter(domain)?;
        if let Some(pace) = &self.pace {
            pace.enter().await?;
        }
        Ok(Place {
            _place: place,
            _turn: turn,
        })
    }

    /// What was said to those of one domain.
    pub(super) fn learn(&self, domain: &str, sent: &Result<Receipt, SendError>) {
        let replies = match sent {
            Ok(receipt) => receipt.replies.as_slice(),
            Err(error) => std::slice::from_ref(&error.reply),
        };
        let asked = replies.iter().find(|reply| reply.class == Class::Throttled);
        if let Some(reply) = asked {
            self.slow.asked(domain, reply.retry_after);
        } else if replies.iter().any(|reply| reply.class == Class::Accepted) {
            self.slow.took();
        }
    }
}

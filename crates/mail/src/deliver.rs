//! The delivery of one message: look at its expiry, render, write, sign, send, and say what that did to each of its
//! deliveries. What is stored, and when the job runs again, is the caller's business.

mod outcome;

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_domain::{
    clock::{Clock, Steady, Timestamp},
    delivery::{Class, DeliveryReport, Reply, Stage},
    stores::{OpenDelivery, OutgoingMessage, StoreError},
    stream::{OnUncertain, StreamName, Streams},
};

use self::outcome::Run;
use crate::{
    builder::{BuildError, Builder},
    dkim::SignError,
    envelope::Envelope,
    transport::{Gate, Scope, SendError, Transport, hash_of},
};

/// An unknown outcome is tried again no sooner: a slow server gets time to be done with the first copy.
pub const UNCERTAIN_WAIT: Duration = Duration::from_secs(120);

/// What follows for the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Every delivery has ended.
    Done,
    /// The way out failed, not the mail: run again after this wait, which spends no attempt.
    WaitFor {
        /// The wait.
        after: Duration,
    },
    /// Some are open: run again after this wait.
    RetryAfter {
        /// The wait.
        after: Duration,
        /// Why, for people.
        reason: String,
    },
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one lives for each attempt, and is taken apart at once"
)]
pub enum Delivered {
    /// It ended: what it did to each delivery, and what follows.
    Ended {
        /// What is to be committed with the end of the job.
        report: DeliveryReport,
        /// What follows.
        next: Next,
    },
    /// The gate was shut before anything was sent: nothing happened.
    NotSent,
    /// Other large mails take all the memory there is for them: nothing happened, and it is worth another look soon.
    NoRoom,
}

/// A message that cannot even be tried: its stream is not configured on this node, or the store failed.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// No such stream here; another node may know it.
    #[error("the stream `{0}` is not configured here")]
    UnknownStream(StreamName),
    /// The store failed.
    #[error("a template version or an attachment cannot be read")]
    Store(#[source] StoreError),
    /// This machine cannot sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Draws a number evenly from 0 to 1.
pub type Jitter = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Delivers messages by the transports of their streams.
pub struct Deliver {
    builder: Arc<Builder>,
    transports: HashMap<StreamName, Arc<dyn Transport>>,
    streams: Streams,
    clock: Arc<dyn Clock>,
    steady: Steady,
    jitter: Jitter,
}

impl fmt::Debug for Deliver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliver")
            .field("transports", &self.transports)
            .finish_non_exhaustive()
    }
}

impl Deliver {
    /// A use case over these transports.
    #[must_use]
    pub fn new(
        builder: Arc<Builder>,
        transports: HashMap<StreamName, Arc<dyn Transport>>,
        streams: Streams,
        clock: Arc<dyn Clock>,
        jitter: Jitter,
    ) -> Self {
        Self {
            builder,
            transports,
            streams,
            clock,
            steady: Steady::default(),
            jitter,
        }
    }

    /// Makes one attempt for all deliveries that are open.
    ///
    /// # Errors
    /// [`DeliverError`] if no attempt could be made for a reason that says nothing about the message.
    pub async fn deliver(
        &self,
        outgoing: OutgoingMessage,
        gate: &Gate,
    ) -> Result<Delivered, DeliverError> {
        let OutgoingMessage {
            mut message,
            open,
            expires_at,
        } = outgoing;
        let unknown = || DeliverError::UnknownStream(message.stream.clone());
        let policy = self.streams.get(&message.stream).ok_or_else(unknown)?;
        let transport = self.transports.get(&message.stream).ok_or_else(unknown)?;
        let started_at = self.clock.now();
        if open.is_empty() || self.expiry(expires_at) <= started_at {
            let results = open.iter().map(outcome::expired).collect();
            let report = DeliveryReport {
                message: message.id,
                run: None,
                results,
            };
            return Ok(Delivered::Ended {
                report,
                next: Next::Done,
            });
        }
        let began = Instant::now();
        let built = match self.builder.build(&mut message).await {
            Ok(built) => Ok(built),
            Err(BuildError::NoRoom) => return Ok(Delivered::NoRoom),
            Err(BuildError::Store(error)) => return Err(DeliverError::Store(error)),
            Err(BuildError::Sign(error)) => return Err(error.into()),
            // What cannot be built now can't be later either: that ends it.
            Err(BuildError::Never(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(message.id = %message.id, error, "message cannot be rendered");
                Err(Reply::new(Stage::Render, Class::Permanent, &chain(error)))
            }
        };
        let body_hash = built.as_ref().ok().map(|built| hash_of(built.bytes()));
        // Never a second copy where the stream forbids it, and never other bytes under the same Message-ID.
        let is_held = |open: &OpenDelivery| {
            let doubt = open.doubt.as_ref();
            doubt.is_some_and(|doubt| {
                policy.on_uncertain == OnUncertain::Hold || Some(doubt.body_hash) != body_hash
            })
        };
        let (held, free): (Vec<_>, Vec<_>) = open.into_iter().partition(is_held);
        let sent = match built {
            _ if free.is_empty() => None,
            Ok(built) => {
                let envelope = Envelope::of(&message, &free);
                Some(transport.send(&envelope, built.bytes(), gate).await)
            }
            Err(reply) => Some(Err(SendError {
                scope: Scope::Message,
                reply,
                remote: None,
                trail: None,
            })),
        };
        if matches!(&sent, Some(Err(error)) if error.scope == Scope::Gate) {
            return Ok(Delivered::NotSent);
        }
        let run = Run {
            policy,
            expires_at: self.expiry(expires_at),
            ended_at: self.clock.now(),
            jitter: &*self.jitter,
            transport: transport.name(),
            started_at,
            duration: began.elapsed(),
            body_hash,
        };
        let (report, next) = run.conclude(message.id, &held, &free, sent);
        Ok(Delivered::Ended { report, next })
    }

    /// A clock that has just been set ends no mail (I22).
    fn expiry(&self, expires_at: Timestamp) -> Timestamp {
        if self.steady.look_at(&*self.clock) {
            expires_at
        } else {
            Timestamp::MAX_UTC
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

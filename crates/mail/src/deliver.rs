//! The delivery of one message: look at its expiry, render, write, sign, send, and say what that did to each of its
//! deliveries. What is stored, and when the job runs again, is the caller's business.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_domain::{
    clock::{Clock, Steady, Timestamp},
    delivery::{
        AttemptRun, BodyHash, Class, DeliveryEvent, DeliveryReport, DeliveryResult, Reply, Stage,
    },
    retry_policy::{NextAttempt, RetryPolicy},
    stores::{OpenDelivery, OutgoingMessage, StoreError},
    stream::{StreamName, StreamPolicy, Streams},
};

use crate::{
    dkim::{SignError, Signer},
    envelope::Envelope,
    mime,
    render::{RenderError, Renderer},
    transport::{Gate, Receipt, Scope, SendError, Transport, hash_of},
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
}

/// A message that cannot even be tried: its stream is not configured on this node, or the store failed.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// No such stream here; another node may know it.
    #[error("the stream `{0}` is not configured here")]
    UnknownStream(StreamName),
    /// The store failed.
    #[error("the template version cannot be read")]
    Store(#[source] StoreError),
    /// This machine cannot sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Draws a number evenly from 0 to 1.
pub type Jitter = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Delivers messages by the transports of their streams.
pub struct Deliver {
    renderer: Arc<Renderer>,
    transports: HashMap<StreamName, Arc<dyn Transport>>,
    streams: Streams,
    clock: Arc<dyn Clock>,
    steady: Steady,
    jitter: Jitter,
    signer: Signer,
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
        renderer: Arc<Renderer>,
        transports: HashMap<StreamName, Arc<dyn Transport>>,
        streams: Streams,
        clock: Arc<dyn Clock>,
        jitter: Jitter,
    ) -> Self {
        Self {
            renderer,
            transports,
            streams,
            clock,
            steady: Steady::default(),
            jitter,
            signer: Signer::default(),
        }
    }

    /// The same, signing mail of the domains that `signer` has keys of.
    #[must_use]
    pub fn with_dkim(self, signer: Signer) -> Self {
        Self { signer, ..self }
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
            message,
            open,
            expires_at,
        } = outgoing;
        let unknown = || DeliverError::UnknownStream(message.stream.clone());
        let policy = self.streams.get(&message.stream).ok_or_else(unknown)?;
        let transport = self.transports.get(&message.stream).ok_or_else(unknown)?;
        let started_at = self.clock.now();
        if open.is_empty() || self.expiry(expires_at) <= started_at {
            let results = open.iter().map(expired).collect();
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
        let (sent, body_hash) = match self.bytes(&message).await? {
            Ok(bytes) => {
                let envelope = Envelope::of(
                    &message,
                    open.iter().map(|open| open.recipient.clone()).collect(),
                );
                (
                    transport.send(&envelope, &bytes, gate).await,
                    Some(hash_of(&bytes)),
                )
            }
            Err(reply) => (
                Err(SendError {
                    scope: Scope::Message,
                    reply,
                    remote: None,
                }),
                None,
            ),
        };
        if matches!(&sent, Err(error) if error.scope == Scope::Gate) {
            return Ok(Delivered::NotSent);
        }
        let run = Run {
            policy,
            expires_at,
            transport: transport.name(),
            started_at,
            began,
            body_hash,
        };
        Ok(self.conclude(message.id, &open, sent, &run))
    }

    /// A clock that has just been set ends no mail (I22).
    fn expiry(&self, expires_at: Timestamp) -> Timestamp {
        if self.steady.look_at(&*self.clock) {
            expires_at
        } else {
            Timestamp::MAX_UTC
        }
    }

    /// The bytes of the message, or the reply that ends it: what cannot be rendered now can't be later either.
    async fn bytes(
        &self,
        message: &posthaste_domain::message::NewMessage,
    ) -> Result<Result<Vec<u8>, Reply>, DeliverError> {
        let permanent = |error: &(dyn std::error::Error + 'static)| {
            tracing::error!(message.id = %message.id, error, "message cannot be rendered");
            Err(Reply::new(Stage::Render, Class::Permanent, &chain(error)))
        };
        let written = match self.renderer.render(message).await {
            Ok(rendered) => mime::write(message, &rendered),
            Err(RenderError::Store(error)) => return Err(DeliverError::Store(error)),
            Err(error) => return Ok(permanent(&error)),
        };
        Ok(match written {
            // Last: whatever changed the bytes after this would break the signature.
            Ok(bytes) => Ok(self
                .signer
                .sign(message.from.address(), message.created_at, bytes)?),
            Err(error) => permanent(&error),
        })
    }

    fn conclude(
        &self,
        message: posthaste_domain::id::MessageId,
        open: &[OpenDelivery],
        sent: Result<Receipt, SendError>,
        run: &Run<'_>,
    ) -> Delivered {
        let (replies, remote, scope) = match sent {
            Ok(Receipt { replies, remote }) => (replies, remote, None),
            Err(SendError {
                scope,
                reply,
                remote,
            }) => (vec![reply; open.len()], remote, Some(scope)),
        };
        let (now, expires_at) = (self.clock.now(), self.expiry(run.expires_at));
        let results: Vec<_> = open
            .iter()
            .zip(replies)
            .map(|(open, reply)| {
                let step =
                    next_attempt(open, &reply, run.policy, (now, expires_at), (self.jitter)());
                result(open, reply, scope, step)
            })
            .collect();
        let waits = results
            .iter()
            .filter_map(|result| Some((result.next_attempt?, result.reply.as_ref()?)));
        let next = match waits.min_by_key(|(after, _)| *after) {
            None => Next::Done,
            Some((after, _)) if scope == Some(Scope::Transport) => Next::WaitFor { after },
            Some((after, reply)) => Next::RetryAfter {
                after,
                reason: reply.text.clone(),
            },
        };
        let run = AttemptRun {
            started_at: run.started_at,
            duration: run.began.elapsed(),
            transport: run.transport.to_owned(),
            remote,
            body_hash: run.body_hash,
        };
        Delivered::Ended {
            report: DeliveryReport {
                message,
                run: Some(run),
                results,
            },
            next,
        }
    }
}

/// What is known of a run before its outcome.
struct Run<'a> {
    policy: &'a StreamPolicy,
    expires_at: Timestamp,
    transport: &'a str,
    started_at: Timestamp,
    began: Instant,
    body_hash: Option<BodyHash>,
}

/// A wait that was named goes before the step of the ladder.
fn next_attempt(
    open: &OpenDelivery,
    reply: &Reply,
    policy: &StreamPolicy,
    (now, expires_at): (Timestamp, Timestamp),
    jitter: f64,
) -> NextAttempt {
    match reply.retry_after {
        Some(wait) => RetryPolicy::after(wait, now, expires_at, jitter),
        None => policy.retry.next(open.tries + 1, now, expires_at, jitter),
    }
}

fn result(
    open: &OpenDelivery,
    reply: Reply,
    scope: Option<Scope>,
    step: NextAttempt,
) -> DeliveryResult {
    // The way out never condemns a mail: a refused log-in or a bad certificate is for the operator to mend.
    let event = match reply.class {
        Class::Accepted => DeliveryEvent::Accepted,
        Class::Permanent if scope != Some(Scope::Transport) => DeliveryEvent::Refused,
        Class::Permanent | Class::Transient | Class::Throttled | Class::Uncertain => match step {
            NextAttempt::After(_) => DeliveryEvent::Deferred,
            NextAttempt::Expired => DeliveryEvent::Expired,
        },
    };
    let wait = match step {
        NextAttempt::After(after) if event == DeliveryEvent::Deferred => Some(after),
        NextAttempt::After(_) | NextAttempt::Expired => None,
    };
    let wait = if reply.class == Class::Uncertain {
        wait.map(|wait| wait.max(UNCERTAIN_WAIT))
    } else {
        wait
    };
    let state = open
        .state
        .apply(event)
        .expect("an open delivery takes every event");
    DeliveryResult {
        delivery: open.id,
        state,
        reply: Some(reply),
        next_attempt: wait,
    }
}

fn expired(open: &OpenDelivery) -> DeliveryResult {
    let state = open
        .state
        .apply(DeliveryEvent::Expired)
        .expect("an open delivery takes every event");
    DeliveryResult {
        delivery: open.id,
        state,
        reply: None,
        next_attempt: None,
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

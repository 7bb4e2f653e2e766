//! What a run did to each delivery, and what follows for the job.

use std::time::Duration;

use posthaste_domain::{
    clock::Timestamp,
    delivery::{
        AttemptRun, BodyHash, Class, DeliveryEvent, DeliveryReport, DeliveryResult, Doubt, Reply,
        Stage,
    },
    id::MessageId,
    retry_policy::{NextAttempt, RetryPolicy},
    stores::OpenDelivery,
    stream::{OnUncertain, StreamPolicy},
};

use super::{Next, UNCERTAIN_WAIT};
use crate::transport::{Receipt, Scope, SendError, Trail};

/// What is known of a run when it has ended, but for what was said to it.
pub(super) struct Run<'a> {
    pub(super) policy: &'a StreamPolicy,
    pub(super) expires_at: Timestamp,
    pub(super) ended_at: Timestamp,
    pub(super) jitter: &'a (dyn Fn() -> f64 + Send + Sync),
    pub(super) transport: &'a str,
    pub(super) started_at: Timestamp,
    pub(super) duration: Duration,
    pub(super) body_hash: Option<BodyHash>,
}

/// How a transport answered: one reply for each delivery, and the scope if none had one of its own.
struct Said {
    replies: Vec<Reply>,
    scope: Option<Scope>,
    remote: Option<String>,
    trail: Trail,
}

impl Said {
    fn of(sent: Option<Result<Receipt, SendError>>, deliveries: usize) -> Self {
        let (replies, scope, remote, trail) = match sent {
            None => (Vec::new(), None, None, None),
            Some(Ok(receipt)) => (receipt.replies, None, receipt.remote, receipt.trail),
            Some(Err(error)) => (
                vec![error.reply; deliveries],
                Some(error.scope),
                error.remote,
                error.trail,
            ),
        };
        Self {
            replies,
            scope,
            remote,
            trail: trail.map(|trail| *trail).unwrap_or_default(),
        }
    }
}

impl Run<'_> {
    /// `held` were not sent; `sent` is what became of `free`.
    pub(super) fn conclude(
        &self,
        message: MessageId,
        held: &[OpenDelivery],
        free: &[OpenDelivery],
        sent: Option<Result<Receipt, SendError>>,
    ) -> (DeliveryReport, Next) {
        let Said {
            replies,
            scope,
            remote,
            trail,
        } = Said::of(sent, free.len());
        let transport = trail.transport.as_deref().unwrap_or(self.transport);
        let told = free.iter().zip(replies);
        let told = told.map(|(open, reply)| self.result(open, reply, scope, transport));
        let results: Vec<_> = held.iter().map(self::held).chain(told).collect();
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
        // Where nothing was sent, what may have been sent before is what there is to tell.
        let before = held.iter().find_map(|open| open.doubt.as_ref());
        let before = before.filter(|_| free.is_empty());
        let run = AttemptRun {
            started_at: self.started_at,
            duration: self.duration,
            transport: before
                .and_then(|doubt| doubt.transport.clone())
                .unwrap_or_else(|| transport.to_owned()),
            remote,
            transcript: trail.transcript.clone(),
            body_hash: before.map_or(self.body_hash, |doubt| Some(doubt.body_hash)),
        };
        let report = DeliveryReport {
            message,
            run: Some(run),
            results,
        };
        (report, next)
    }

    fn result(
        &self,
        open: &OpenDelivery,
        reply: Reply,
        scope: Option<Scope>,
        transport: &str,
    ) -> DeliveryResult {
        let step = self.next_attempt(open, &reply);
        // What was perhaps delivered before is not known to have failed.
        let or_held = |event| match open.doubt {
            Some(_) => DeliveryEvent::Held,
            None => event,
        };
        // The way out never condemns a mail: a refused log-in or a bad certificate is for the operator to mend.
        let event = match (reply.class, step) {
            (Class::Accepted, _) => DeliveryEvent::Accepted,
            (Class::Uncertain, NextAttempt::Expired) => DeliveryEvent::Held,
            (Class::Uncertain, _) if self.policy.on_uncertain == OnUncertain::Hold => {
                DeliveryEvent::Held
            }
            (Class::Permanent, _) if scope != Some(Scope::Transport) => {
                or_held(DeliveryEvent::Refused)
            }
            (_, NextAttempt::After(_)) => DeliveryEvent::Deferred,
            (_, NextAttempt::Expired) => or_held(DeliveryEvent::Expired),
        };
        let next_attempt = match step {
            NextAttempt::After(after) if event == DeliveryEvent::Deferred => {
                let least = match reply.class {
                    Class::Uncertain => UNCERTAIN_WAIT,
                    _ => Duration::ZERO,
                };
                Some(after.max(least))
            }
            NextAttempt::After(_) | NextAttempt::Expired => None,
        };
        let doubt = match (reply.class, self.body_hash) {
            (Class::Accepted, _) => None,
            (Class::Uncertain, Some(body_hash)) => Some(Doubt {
                body_hash,
                transport: Some(transport.to_owned()),
            }),
            _ => open.doubt.clone(),
        };
        DeliveryResult {
            delivery: open.id,
            state: open
                .state
                .apply(event)
                .expect("an open delivery takes every event"),
            reply: Some(reply),
            next_attempt,
            doubt,
        }
    }

    /// A wait that was named goes before the step of the ladder.
    fn next_attempt(&self, open: &OpenDelivery, reply: &Reply) -> NextAttempt {
        let (now, expires_at, jitter) = (self.ended_at, self.expires_at, (self.jitter)());
        let retry = &self.policy.retry;
        match reply.retry_after {
            Some(wait) => RetryPolicy::after(wait, now, expires_at, jitter),
            None => retry.next(open.tries + 1, now, expires_at, jitter),
        }
    }
}

/// Perhaps sent, and not again.
fn held(open: &OpenDelivery) -> DeliveryResult {
    let text = "an earlier attempt ended before the reply to the mail: it may have been delivered and is not sent again";
    DeliveryResult {
        reply: Some(Reply::new(Stage::Dot, Class::Uncertain, text)),
        ..ended(open, DeliveryEvent::Held)
    }
}

/// Its time is over; what was perhaps sent stays so.
pub(super) fn expired(open: &OpenDelivery) -> DeliveryResult {
    match open.doubt {
        Some(_) => ended(open, DeliveryEvent::Held),
        None => ended(open, DeliveryEvent::Expired),
    }
}

fn ended(open: &OpenDelivery, event: DeliveryEvent) -> DeliveryResult {
    DeliveryResult {
        delivery: open.id,
        state: open
            .state
            .apply(event)
            .expect("an open delivery takes every event"),
        reply: None,
        next_attempt: None,
        doubt: open.doubt.clone(),
    }
}

//! Stored deliveries -> JSON: each recipient with every attempt and the server's reply.

use posthaste_domain::{
    delivery::{Class, DeliveryState, Stage},
    stores::{StoredAttempt, StoredDelivery},
};
use serde::Serialize;

use crate::dto::{address::show_address, message::time};

/// The deliveries of one message.
#[derive(Debug, Serialize)]
pub struct DeliveriesAnswer {
    object: &'static str,
    data: Vec<DeliveryAnswer>,
}

impl DeliveriesAnswer {
    /// The answer, in the order given.
    #[must_use]
    pub fn new(deliveries: &[StoredDelivery], with_transcripts: bool) -> Self {
        let shown = |delivery| DeliveryAnswer::new(delivery, with_transcripts);
        Self {
            object: "list",
            data: deliveries.iter().map(shown).collect(),
        }
    }
}

/// One delivery; `code` to `stage` repeat its latest attempt.
#[derive(Debug, Serialize)]
struct DeliveryAnswer {
    id: String,
    recipient: String,
    status: &'static str,
    tries: u32,
    next_attempt_at: Option<String>,
    code: Option<u16>,
    enhanced_code: Option<String>,
    text: Option<String>,
    stage: Option<&'static str>,
    attempts: Vec<AttemptAnswer>,
}

#[derive(Debug, Serialize)]
struct AttemptAnswer {
    at: String,
    duration_ms: u64,
    transport: String,
    remote: Option<String>,
    stage: &'static str,
    class: &'static str,
    code: Option<u16>,
    enhanced_code: Option<String>,
    text: String,
    body_sha256: Option<String>,
    stale: bool,
    /// The conversation with the server, for operators; it holds every recipient of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    transcript: Option<String>,
}

impl DeliveryAnswer {
    fn new(delivery: &StoredDelivery, with_transcripts: bool) -> Self {
        // A stale attempt explains a second copy; it did not decide where the delivery stands.
        let last = delivery
            .attempts
            .iter()
            .rev()
            .find(|attempt| !attempt.stale);
        let reply = last.map(|attempt| &attempt.reply);
        let shown = |attempt| AttemptAnswer::new(attempt, with_transcripts);
        Self {
            id: delivery.id.to_string(),
            recipient: show_address(&delivery.recipient),
            status: state_word(delivery.state),
            tries: delivery.tries,
            next_attempt_at: delivery.next_attempt_at.map(time),
            code: reply.and_then(|reply| reply.code),
            enhanced_code: reply
                .and_then(|reply| reply.enhanced)
                .map(|code| code.to_string()),
            text: reply.map(|reply| reply.text.clone()),
            stage: reply.map(|reply| stage_word(reply.stage)),
            attempts: delivery.attempts.iter().map(shown).collect(),
        }
    }
}

impl AttemptAnswer {
    fn new(attempt: &StoredAttempt, with_transcripts: bool) -> Self {
        let (run, reply) = (&attempt.run, &attempt.reply);
        Self {
            at: time(run.started_at),
            duration_ms: u64::try_from(run.duration.as_millis()).unwrap_or(u64::MAX),
            transport: run.transport.clone(),
            remote: run.remote.clone(),
            stage: stage_word(reply.stage),
            class: class_word(reply.class),
            code: reply.code,
            enhanced_code: reply.enhanced.map(|code| code.to_string()),
            text: reply.text.clone(),
            body_sha256: run.body_hash.map(|hash| hash.to_string()),
            stale: attempt.stale,
            transcript: run.transcript.clone().filter(|_| with_transcripts),
        }
    }
}

fn state_word(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Queued => "queued",
        DeliveryState::Deferred => "deferred",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Failed => "failed",
        DeliveryState::Expired => "expired",
        DeliveryState::Cancelled => "cancelled",
        DeliveryState::Quarantined => "quarantined",
        DeliveryState::Uncertain => "uncertain",
    }
}

fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Render => "render",
        Stage::Connect => "connect",
        Stage::Tls => "tls",
        Stage::Greeting => "greeting",
        Stage::Hello => "hello",
        Stage::Auth => "auth",
        Stage::Mail => "mail",
        Stage::Rcpt => "rcpt",
        Stage::Data => "data",
        Stage::Body => "body",
        Stage::Dot => "dot",
    }
}

fn class_word(class: Class) -> &'static str {
    match class {
        Class::Accepted => "accepted",
        Class::Transient => "transient",
        Class::Throttled => "throttled",
        Class::Permanent => "permanent",
        Class::Uncertain => "uncertain",
    }
}

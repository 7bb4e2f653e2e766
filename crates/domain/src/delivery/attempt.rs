//! One run of a message against a transport, and what it did to each of its deliveries.

use std::{fmt, time::Duration};

use crate::{
    clock::Timestamp,
    delivery::{DeliveryState, Reply},
    id::{DeliveryId, MessageId},
    stores::OpenDelivery,
};

/// SHA-256 of the bytes that were handed to the transport: two attempts with equal hashes sent the same mail.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BodyHash(pub [u8; 32]);

impl fmt::Display for BodyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BodyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An attempt whose end nobody saw: the server may have taken the mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The bytes that it may have taken.
    pub body_hash: BodyHash,
    /// The transport they went by, if the attempt came so far as to tell.
    pub transport: Option<String>,
}

/// What is common to all recipients of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRun {
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// The transport's configured name.
    pub transport: String,
    /// The server, or the file, that took or refused it, where one was reached.
    pub remote: Option<String>,
    /// What was sent, once it was rendered.
    pub body_hash: Option<BodyHash>,
    /// What was said over the wire, where it was kept: read back with the first delivery of the run only.
    pub transcript: Option<String>,
}

/// What one run did: the effect that is committed together with the end of its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryReport {
    /// The message.
    pub message: MessageId,
    /// The run against the transport; absent where none was made (expired before).
    pub run: Option<AttemptRun>,
    /// One entry for each delivery that was open.
    pub results: Vec<DeliveryResult>,
}

impl DeliveryReport {
    /// Nothing was sent and nothing has changed.
    #[must_use]
    pub fn of_nothing(message: MessageId, open: &[OpenDelivery]) -> Self {
        let result = |open: &OpenDelivery| DeliveryResult {
            delivery: open.id,
            state: open.state,
            reply: None,
            next_attempt: None,
            doubt: open.doubt.clone(),
        };
        Self {
            message,
            run: None,
            results: open.iter().map(result).collect(),
        }
    }
}

/// What one run did to one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryResult {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its state from now on.
    pub state: DeliveryState,
    /// How the attempt ended, where one was made.
    pub reply: Option<Reply>,
    /// The wait before the next attempt, for those still open.
    pub next_attempt: Option<Duration>,
    /// An attempt that may have delivered it, this one or one before.
    pub doubt: Option<Doubt>,
}

//! What became of the mail of one stream in memory, counted since the start.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use posthaste_domain::{id::MessageId, stream::StreamName};
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// A stream that is full drops faster than anybody reads: the log tells of it once in this time.
const TELL_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Tally {
    stream: StreamName,
    ended: AtomicU64,
    spilled: AtomicU64,
    dropped: AtomicU64,
    uncertain: AtomicU64,
    told: Mutex<Option<Instant>>,
}

/// The counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// Mails of which every delivery ended from memory.
    pub(super) ended: u64,
    /// Mails that were stored in the end.
    pub(super) spilled: u64,
    /// Mails that were dropped.
    pub(super) dropped: u64,
    /// Mails of which nobody knows whether they arrived.
    pub(super) uncertain: u64,
}

impl Tally {
    pub(super) fn new(stream: StreamName) -> Self {
        Self {
            stream,
            ended: AtomicU64::new(0),
            spilled: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            uncertain: AtomicU64::new(0),
            told: Mutex::new(None),
        }
    }

    pub(super) fn ended(&self) {
        self.ended.fetch_add(1, Relaxed);
    }

    pub(super) fn spilled(&self) {
        self.spilled.fetch_add(1, Relaxed);
    }

    pub(super) fn uncertain(&self, message: MessageId) {
        self.uncertain.fetch_add(1, Relaxed);
        warn!(message.id = %message, stream = %self.stream, "outcome unknown; it is not sent again from memory");
    }

    pub(super) fn dropped(&self, message: MessageId, why: &str) {
        let dropped = self.dropped.fetch_add(1, Relaxed) + 1;
        debug!(message.id = %message, stream = %self.stream, why, "dropped");
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            *told = Some(Instant::now());
            warn!(stream = %self.stream, dropped, why, "a stream in memory drops mail");
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            ended: self.ended.load(Relaxed),
            spilled: self.spilled.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            uncertain: self.uncertain.load(Relaxed),
        }
    }

    /// The last word.
    pub(super) fn tell(&self) {
        let Counts {
            ended,
            spilled,
            dropped,
            uncertain,
        } = self.counts();
        info!(stream = %self.stream, ended, spilled, dropped, uncertain, "stream in memory stopped");
    }
}

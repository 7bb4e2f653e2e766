//! Whether a node may act.
//!
//! Where nodes share a queue, each beats, and others take over its jobs when the beats end; so a node that cannot confirm
//! its own beats must stop before they do.
//!
//! Whoever beats says when each confirmed beat was *sent*, by the monotonic clock: a beat that was confirmed late was
//! sent long ago. A node is fresh for [`FRESH`] after that. Others judge it dead after [`DEAD_AFTER`] without a new beat,
//! by their own monotonic clocks; no stored time takes part.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use posthaste_host::Stop;
use tokio::time::Instant;

/// How often a node beats.
pub const BEAT: Duration = Duration::from_secs(1);
/// For how long after sending its last confirmed beat a node may start work and let mail out.
pub const FRESH: Duration = Duration::from_secs(5);
/// After how long without a new beat others take a node for dead. More than [`FRESH`] by the time in which a statement
/// under way is carried out or not.
pub const DEAD_AFTER: Duration = Duration::from_secs(7);

/// The life of one node, shared by whoever beats for it and whoever acts for it.
#[derive(Clone)]
pub struct Pulse(Arc<Life>);

struct Life {
    origin: Instant,
    /// Milliseconds from `origin` to the sending of the last confirmed beat; `None` where nobody judges.
    confirmed: Option<AtomicU64>,
    died: Stop,
}

impl Pulse {
    /// Of a node that nobody judges: it has its queue to itself.
    #[must_use]
    pub fn unjudged() -> Self {
        Self::new(None)
    }

    /// Of a node that beats from now on.
    #[must_use]
    pub fn beating() -> Self {
        Self::new(Some(AtomicU64::new(0)))
    }

    fn new(confirmed: Option<AtomicU64>) -> Self {
        Self(Arc::new(Life {
            origin: Instant::now(),
            confirmed,
            died: Stop::new(),
        }))
    }

    /// A beat that was sent at `sent` has reached the queue.
    pub fn confirm(&self, sent: Instant) {
        if let Some(confirmed) = &self.0.confirmed {
            let at = sent.saturating_duration_since(self.0.origin).as_millis();
            confirmed.fetch_max(u64::try_from(at).unwrap_or(u64::MAX), Ordering::AcqRel);
        }
    }

    /// The queue holds this node for dead: its jobs are others'.
    pub fn die(&self) {
        self.0.died.force();
    }

    /// Whether the node may start work and let mail out.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let lasts = self.0.confirmed.as_ref().is_none_or(|confirmed| {
            let sent = Duration::from_millis(confirmed.load(Ordering::Acquire));
            self.0.origin.elapsed().saturating_sub(sent) < FRESH
        });
        lasts && !self.0.died.is_forced()
    }

    /// Waits until the node is held for dead.
    pub async fn died(&self) {
        self.0.died.forced().await;
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulse")
            .field("judged", &self.0.confirmed.is_some())
            .field("fresh", &self.is_fresh())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I5.
    #[tokio::test(start_paused = true)]
    async fn a_node_is_fresh_for_five_seconds_after_it_sent_its_last_confirmed_beat() {
        let pulse = Pulse::beating();
        let wait = async |seconds: u64| tokio::time::sleep(Duration::from_secs(seconds)).await;
        let sent = Instant::now();
        wait(4).await;
        // Confirmed four seconds after it was sent: one second is left.
        pulse.confirm(sent);
        assert!(pulse.is_fresh());
        wait(1).await;
        assert!(!pulse.is_fresh());
        pulse.confirm(Instant::now());
        assert!(pulse.is_fresh());
        // An older beat that is confirmed later takes nothing back.
        pulse.confirm(sent);
        assert!(pulse.is_fresh());
        pulse.die();
        pulse.confirm(Instant::now());
        assert!(!pulse.is_fresh(), "no beat brings a dead node back");
        pulse.died().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_nobody_judges_stays_fresh() {
        let pulse = Pulse::unjudged();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(pulse.is_fresh());
    }
}

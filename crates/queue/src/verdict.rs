//! Verdicts: what the worker tells the queue when it is through with a job. They carry durations, never points in time:
//! the clock that counts is the queue's.

use std::time::Duration;

use crate::lease::Lease;

/// What becomes of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is done and leaves the queue.
    Done,
    /// It is tried again after a wait; the attempt is spent.
    Retry {
        /// How long it waits.
        after: Duration,
        /// Why, for people.
        error: String,
    },
    /// It waits without having been tried: the attempt is not spent.
    Snooze {
        /// How long it waits.
        after: Duration,
    },
    /// It ran beyond its deadline and was ended: the attempt is spent, and a crash is counted.
    Crashed {
        /// How long it waits.
        after: Duration,
        /// What happened, for people.
        error: String,
    },
    /// It is not wanted any more and leaves the queue.
    Cancel {
        /// Why, for people.
        reason: String,
    },
    /// It cannot succeed by itself: it is kept among the dead jobs, for a person.
    Dead {
        /// Why, for people.
        reason: String,
    },
    /// It is given back as if it had not been claimed: the attempt is not spent.
    Release,
}

/// The end of one lease, with what has to be committed together with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Settlement<E> {
    /// The right that ends.
    pub lease: Lease,
    /// What becomes of the job.
    pub verdict: Verdict,
    /// Outcomes, attempt rows, follow-up jobs: written in the same transaction, and only if the fence still matches.
    pub effects: Option<E>,
}

//! When a delivery is tried again: a ladder of waits, jitter upwards only, and an end at the mail's expiry.

use std::time::Duration;

use crate::clock::Timestamp;

/// A last attempt before the expiry is worth making only if it is at least this far away.
pub const LAST_ATTEMPT_FROM: Duration = Duration::from_secs(30);
/// How long before the expiry that last attempt is made.
pub const LAST_ATTEMPT_MARGIN: Duration = Duration::from_secs(5);
/// The random part of a wait, as a share of it: 0 to 20 %, never downwards, so that no wait falls below its step.
pub const JITTER_SHARE: f64 = 0.2;

/// The waits after the first, second, … attempt; the last one repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    ladder: Vec<Duration>,
}

/// What follows an attempt that did not end a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextAttempt {
    /// Try again after this wait.
    After(Duration),
    /// No attempt fits before the expiry: the delivery has expired.
    Expired,
}

impl RetryPolicy {
    /// A policy with these waits, or `None` if there are none.
    #[must_use]
    pub fn new(ladder: Vec<Duration>) -> Option<Self> {
        if ladder.is_empty() {
            None
        } else {
            Some(Self { ladder })
        }
    }

    /// What follows the `tries`-th attempt (from 1), ended at `now`; `jitter` is drawn evenly from 0 to 1.
    ///
    /// Where the step would fall behind `expires_at`, a last attempt is made 5 s before it if that is at least 30 s
    /// away; otherwise the delivery has expired.
    #[must_use]
    pub fn next(
        &self,
        tries: u32,
        now: Timestamp,
        expires_at: Timestamp,
        jitter: f64,
    ) -> NextAttempt {
        let step = usize::try_from(tries.saturating_sub(1))
            .unwrap_or(usize::MAX)
            .min(self.ladder.len() - 1);
        Self::after(self.ladder[step], now, expires_at, jitter)
    }

    /// What follows where the wait is known: a server named it, or the way out needs it. Jitter and the end are as for a
    /// step of the ladder.
    #[must_use]
    pub fn after(
        wait: Duration,
        now: Timestamp,
        expires_at: Timestamp,
        jitter: f64,
    ) -> NextAttempt {
        let wait = wait.mul_f64(1.0 + JITTER_SHARE * jitter.clamp(0.0, 1.0));
        let left = (expires_at - now).to_std().unwrap_or_default();
        let last = left.saturating_sub(LAST_ATTEMPT_MARGIN);
        if wait <= last {
            NextAttempt::After(wait)
        } else if last >= LAST_ATTEMPT_FROM {
            NextAttempt::After(last)
        } else {
            NextAttempt::Expired
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::later;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy() -> RetryPolicy {
        RetryPolicy::new(vec![30 * SECOND, 120 * SECOND, 300 * SECOND]).unwrap()
    }

    #[track_caller]
    fn check(tries: u32, left: u32, jitter: f64, expected: NextAttempt) {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(
            policy().next(tries, now, later(now, left * SECOND), jitter),
            expected
        );
    }

    #[test]
    fn waits_climb_the_ladder_and_stay_on_its_last_step() {
        for (tries, seconds) in [(1, 30), (2, 120), (3, 300), (4, 300), (u32::MAX, 300)] {
            check(tries, 86_400, 0.0, NextAttempt::After(seconds * SECOND));
        }
    }

    #[test]
    fn jitter_only_lengthens_a_wait_and_by_a_fifth_at_most() {
        check(1, 86_400, 1.0, NextAttempt::After(36 * SECOND));
        check(1, 86_400, 7.0, NextAttempt::After(36 * SECOND));
        check(1, 86_400, -1.0, NextAttempt::After(30 * SECOND));
    }

    /// I23.
    #[test]
    fn a_step_behind_the_expiry_becomes_a_last_attempt_or_none() {
        check(3, 100, 0.0, NextAttempt::After(95 * SECOND));
        check(3, 35, 0.0, NextAttempt::After(30 * SECOND));
        check(3, 34, 0.0, NextAttempt::Expired);
        check(1, 0, 0.0, NextAttempt::Expired);
    }
}

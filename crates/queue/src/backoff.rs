//! The wait before a failed job is tried again, where its handler names none: exponential, with jitter upwards only.

use std::time::Duration;

/// Waits of `first`, twice that, … up to `longest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first attempt.
    pub first: Duration,
    /// No wait is longer, jitter aside.
    pub longest: Duration,
    /// After this many attempts the job is dead.
    pub attempts: u32,
}

impl Default for Backoff {
    /// 10 s doubling to 1 h; dead after 25 attempts, about a day.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(10),
            longest: Duration::from_secs(3600),
            attempts: 25,
        }
    }
}

impl Backoff {
    /// The wait after the `attempt`-th attempt (from 1), or `None` if that was the last one. `jitter`, drawn evenly from
    /// 0 to 1, adds up to a fifth.
    #[must_use]
    pub fn after(&self, attempt: u32, jitter: f64) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let doublings = attempt.saturating_sub(1).min(32);
        let wait = self
            .first
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(self.longest);
        Some(wait.mul_f64(1.0 + 0.2 * jitter.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_then_end() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(5),
            attempts: 6,
        };
        let waits: Vec<_> = (1..=6)
            .map(|attempt| backoff.after(attempt, 0.0).map(|w| w.as_secs()))
            .collect();
        assert_eq!(waits, [Some(1), Some(2), Some(4), Some(5), Some(5), None]);
        assert_eq!(backoff.after(1, 1.0), Some(Duration::from_millis(1200)));
        assert_eq!(
            Backoff::default().after(24, 0.0),
            Some(Duration::from_secs(3600))
        );
    }
}

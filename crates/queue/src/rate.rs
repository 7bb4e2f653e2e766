//! How many jobs of a lane may start within a time, over all nodes.
//!
//! Tokens accrue one by one at even intervals (the generic cell rate algorithm, ITU-T I.371 annex A, in its form as a
//! virtual clock): of a lane only the instant up to which its tokens are spent is stored. Unspent tokens older than
//! [`Rate::SAVED`] are lost, so no more than a tenth of a second's worth starts at once beyond the even pace.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

/// A text that says no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a rate is a count and a time, as `14/s`, `100/min` or `5000/h`, of at most 1,000,000 a second"
)]
pub struct InvalidRate;

/// `count` jobs within `within`, evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    within: Duration,
}

impl Rate {
    /// For how long unspent tokens are kept.
    pub const SAVED: Duration = Duration::from_millis(100);

    /// A rate of at most a million a second.
    ///
    /// # Errors
    /// [`InvalidRate`] for none, or for more.
    pub fn new(count: u32, within: Duration) -> Result<Self, InvalidRate> {
        let count = NonZeroU32::new(count).ok_or(InvalidRate)?;
        if u128::from(count.get()) <= within.as_micros() {
            Ok(Self { count, within })
        } else {
            Err(InvalidRate)
        }
    }

    /// Between two tokens.
    #[must_use]
    pub fn every(self) -> Duration {
        Duration::from_micros(self.interval().unsigned_abs())
    }

    /// Between two tokens, in microseconds, rounded up: never faster than asked for.
    fn interval(self) -> i64 {
        let within = i64::try_from(self.within.as_micros()).unwrap_or(i64::MAX);
        let count = i64::from(self.count.get());
        within / count + i64::from(within % count != 0)
    }

    /// Up to where tokens are spent at `now`, those that are lost included: at least one token can always be saved.
    fn spent(self, spent_until: i64, now: i64) -> i64 {
        let saved = i64::try_from(Self::SAVED.as_micros()).unwrap_or(i64::MAX);
        spent_until.max(now.saturating_sub(saved.max(self.interval())))
    }

    /// How many tokens there are at `now`, where those up to `spent_until` are spent. All instants are microseconds of
    /// one clock.
    #[must_use]
    pub fn available(self, spent_until: i64, now: i64) -> usize {
        let since = now.saturating_sub(self.spent(spent_until, now));
        usize::try_from(since / self.interval()).unwrap_or(0)
    }

    /// Up to where tokens are spent after `count` more.
    #[must_use]
    pub fn spend(self, spent_until: i64, now: i64, count: usize) -> i64 {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.spent(spent_until, now)
            .saturating_add(self.interval().saturating_mul(count))
    }

    /// How long until there is a token.
    #[must_use]
    pub fn next_in(self, spent_until: i64, now: i64) -> Duration {
        let next = self.spent(spent_until, now).saturating_add(self.interval());
        Duration::from_micros(u64::try_from(next.saturating_sub(now)).unwrap_or_default())
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let (count, unit) = text.split_once('/').ok_or(InvalidRate)?;
        let seconds = match unit.trim() {
            "s" => 1,
            "min" => 60,
            "h" => 3600,
            "day" => 86_400,
            _ => return Err(InvalidRate),
        };
        let count = count.trim().parse().map_err(|_| InvalidRate)?;
        Self::new(count, Duration::from_secs(seconds))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.within.as_secs() {
            1 => "s",
            60 => "min",
            3600 => "h",
            86_400 => "day",
            seconds => return write!(f, "{} in {seconds} s", self.count),
        };
        write!(f, "{}/{unit}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_count_and_a_unit() {
        for text in ["14/s", "100/min", "5000/h", "1/day", "1000000/s"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "14",
            "0/s",
            "-1/s",
            "14/week",
            "1000001/s",
            "x/s",
            "1.5/s",
        ] {
            assert_eq!(text.parse::<Rate>(), Err(InvalidRate), "{text}");
        }
    }

    /// I20. However it is asked for, in any second no more start than the rate and a tenth.
    #[test]
    fn no_window_holds_more_than_the_rate_and_a_tenth_of_a_second() {
        let rate: Rate = "50/s".parse().unwrap();
        let (mut spent, mut starts) = (0, Vec::new());
        for now in (5_000_000..20_000_000).step_by(7_000) {
            // Idle for a while now and then: what was not used is lost.
            if (now / 3_000_000) % 2 == 1 {
                let count = rate.available(spent, now);
                spent = rate.spend(spent, now, count);
                starts.extend(vec![now; count]);
            }
        }
        let in_window = |from: &i64| {
            let window = starts
                .iter()
                .filter(|at| (*from..from + 1_000_000).contains(*at));
            window.count()
        };
        let most = starts.iter().map(in_window).max().unwrap();
        assert!((50..=55).contains(&most), "{most}");
        assert!(starts.len() > 300, "{}", starts.len());
    }

    #[test]
    fn a_slow_rate_saves_one_token_and_says_when_the_next_one_comes() {
        let rate: Rate = "2/min".parse().unwrap();
        let now = 1_000_000_000;
        assert_eq!(rate.available(0, now), 1);
        let spent = rate.spend(0, now, 1);
        assert_eq!(rate.available(spent, now), 0);
        assert_eq!(rate.next_in(spent, now), Duration::from_secs(30));
        assert_eq!(rate.available(spent, now + 29_999_999), 0);
        assert_eq!(rate.available(spent, now + 30_000_000), 1);
        assert_eq!(
            rate.available(spent, now + 600_000_000),
            1,
            "no more are saved"
        );
    }

    /// A clock that is set back must not stop a lane for ever, nor open it.
    #[test]
    fn a_clock_set_back_waits_no_longer_than_it_was_set_back() {
        let rate: Rate = "10/s".parse().unwrap();
        let spent = rate.spend(0, 10_000_000, 1);
        assert_eq!(rate.available(spent, 9_000_000), 0);
        assert!(rate.next_in(spent, 9_000_000) <= Duration::from_millis(1_100));
    }
}

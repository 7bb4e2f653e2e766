//! How many requests a key may make: evenly so many within a time, and a burst of some beyond the pace. Counted by each node,
//! for a limit over all of them would cost each request a trip to the database.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};
use posthaste_domain::key::KeyHash;
use posthaste_queue::Rate;

type Limiter =
    RateLimiter<KeyHash, DashMapStateStore<KeyHash>, MonotonicClock, StateInformationMiddleware>;

/// A limit on the requests of each key.
#[derive(Debug, Clone, Copy)]
pub struct KeyLimit {
    /// The pace.
    pub rate: Rate,
    /// Most requests at once; at least one.
    pub burst: u32,
}

/// Counts the requests of keys. Only valid keys are counted, so there are no more counts than keys.
pub struct KeyRates {
    limiter: Limiter,
    limit: KeyLimit,
}

impl fmt::Debug for KeyRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRates")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// How a key stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Most requests at once.
    pub limit: u32,
    /// Those that are left.
    pub remaining: u32,
    /// How long until all of them are there again.
    pub reset: Duration,
    /// Between two requests at an even pace.
    pub every: Duration,
}

/// Where the standing of a request's key is put, for the headers of its answer.
pub type StandingCell = Arc<OnceLock<Standing>>;

impl KeyRates {
    /// Counts by this limit.
    ///
    /// # Panics
    /// Never: a rate has a pace.
    #[must_use]
    pub fn new(limit: KeyLimit) -> Self {
        let burst = limit
            .burst
            .max(1)
            .try_into()
            .unwrap_or(std::num::NonZeroU32::MIN);
        let quota = Quota::with_period(limit.rate.every());
        let quota = quota.expect("a rate has a pace").allow_burst(burst);
        let clock = MonotonicClock;
        Self {
            limiter: Limiter::new(quota, DashMapStateStore::default(), clock),
            limit,
        }
    }

    /// Counts a request of this key: how the key stands then, and the wait where it has had its requests.
    #[must_use]
    pub fn count(&self, key: KeyHash) -> (Standing, Option<Duration>) {
        let checked = self.limiter.check_key(&key);
        match checked {
            Ok(state) => (self.standing(state.remaining_burst_capacity()), None),
            Err(not_until) => {
                let wait = not_until.wait_time_from(MonotonicClock.now());
                (self.standing(0), Some(wait))
            }
        }
    }

    fn standing(&self, remaining: u32) -> Standing {
        let (limit, every) = (self.limit.burst.max(1), self.limit.rate.every());
        Standing {
            limit,
            remaining,
            reset: every * limit.saturating_sub(remaining),
            every,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_burst_and_then_its_pace() {
        let rates = KeyRates::new(KeyLimit {
            rate: "1/h".parse().unwrap(),
            burst: 3,
        });
        let (one, other) = (KeyHash::of("one"), KeyHash::of("other"));
        let remaining: Vec<_> = (0..4).map(|_| rates.count(one)).collect();
        let left: Vec<_> = remaining.iter().map(|(at, _)| at.remaining).collect();
        assert_eq!(left, [2, 1, 0, 0]);
        assert!(remaining[..3].iter().all(|(_, wait)| wait.is_none()));
        let hour = Duration::from_secs(3600);
        let wait = remaining[3].1.unwrap();
        assert!(
            wait <= hour && wait > hour - Duration::from_secs(60),
            "{wait:?}"
        );
        assert_eq!(remaining[2].0.reset, 3 * hour);
        assert_eq!(rates.count(other).0.remaining, 2, "another key has its own");
    }
}

//! Limits on guessing: at most so many tries of one subject within any window of time.
//!
//! The count is exact (a sliding window, not a leaking bucket), lives in this process and is bounded: it forgets what is
//! out of the window, and where too many subjects are in it at once, the one that was quiet for longest.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::clock::{Clock, Timestamp, later};

/// Most subjects that are counted at once.
pub const MAX_SUBJECTS: usize = 100_000;

/// Where a request comes from, as far as one client can be told from another: an IPv4 address, or the /64 network of an
/// IPv6 address, of which one client has all addresses (RFC 6177 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        })
    }
}

/// The subject has had its tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many tries; the next one is taken in {} s", retry_after.as_secs())]
pub struct Throttled {
    /// How long until the next try is taken.
    pub retry_after: Duration,
}

/// Counts tries by subject.
pub struct Throttle<S> {
    tries: usize,
    window: Duration,
    clock: Arc<dyn Clock>,
    subjects: Mutex<HashMap<S, VecDeque<Timestamp>>>,
}

impl<S: Eq + Hash + Clone> Throttle<S> {
    /// At most `tries` (at least one) of each subject within any `window`.
    #[must_use]
    pub fn new(tries: u32, window: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            tries: usize::try_from(tries).unwrap_or(usize::MAX).max(1),
            window,
            clock,
            subjects: Mutex::default(),
        }
    }

    /// Counts a try. A refused one does not count, so that the wait it names is true.
    ///
    /// # Errors
    /// [`Throttled`] if the subject has had its tries.
    pub fn try_once(&self, subject: &S) -> Result<(), Throttled> {
        let now = self.clock.now();
        let mut subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        if !subjects.contains_key(subject) && subjects.len() >= MAX_SUBJECTS {
            self.make_room(&mut subjects, now);
        }
        let tries = subjects.entry(subject.clone()).or_default();
        tries.retain(|at| self.counts(*at, now));
        if tries.len() >= self.tries {
            let oldest = tries.front().copied().unwrap_or(now);
            let retry_after = (later(oldest, self.window) - now)
                .to_std()
                .unwrap_or_default();
            return Err(Throttled { retry_after });
        }
        tries.push_back(now);
        Ok(())
    }

    /// Whether a try is in the window. One that lies ahead was counted before the clock was set back: nobody is locked
    /// out until the clock is there again.
    fn counts(&self, at: Timestamp, now: Timestamp) -> bool {
        at <= now && now < later(at, self.window)
    }

    fn make_room(&self, subjects: &mut HashMap<S, VecDeque<Timestamp>>, now: Timestamp) {
        subjects.retain(|_, tries| tries.back().is_some_and(|at| self.counts(*at, now)));
        if subjects.len() < MAX_SUBJECTS {
            return;
        }
        let quietest = subjects
            .iter()
            .min_by_key(|(_, tries)| tries.back().copied())
            .map(|(subject, _)| subject.clone());
        if let Some(subject) = quietest {
            subjects.remove(&subject);
        }
    }
}

/// Subjects are personal: only their number is shown.
impl<S> fmt::Debug for Throttle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Throttle")
            .field("tries", &self.tries)
            .field("window", &self.window)
            .field("subjects", &subjects.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const MINUTE: Duration = Duration::from_secs(60);

    fn throttle(tries: u32) -> (Throttle<u32>, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(later(Timestamp::UNIX_EPOCH, 1000 * MINUTE)));
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        (Throttle::new(tries, MINUTE, shared), clock)
    }

    #[test]
    fn within_any_window_a_subject_has_its_tries_and_no_more() {
        let (throttle, clock) = throttle(3);
        let mut taken = Vec::new();
        for second in 0..600_u32 {
            if throttle.try_once(&1).is_ok() {
                taken.push(second);
            }
            clock.advance(Duration::from_secs(1));
        }
        assert!(
            taken.windows(4).all(|tries| tries[3] - tries[0] >= 60),
            "{taken:?}"
        );
        assert_eq!(taken.len(), 30);
    }

    #[test]
    fn the_wait_that_is_named_is_the_wait() {
        let (throttle, clock) = throttle(2);
        throttle.try_once(&1).unwrap();
        clock.advance(Duration::from_secs(20));
        throttle.try_once(&1).unwrap();
        clock.advance(Duration::from_secs(10));
        let refused = throttle.try_once(&1).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(30));
        assert_eq!(throttle.try_once(&2), Ok(()), "subjects are apart");
        clock.advance(refused.retry_after);
        assert_eq!(throttle.try_once(&1), Ok(()));
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let (throttle, clock) = throttle(1);
        throttle.try_once(&1).unwrap();
        clock.set(later(Timestamp::UNIX_EPOCH, 10 * MINUTE));
        assert_eq!(throttle.try_once(&1), Ok(()));
        assert!(throttle.try_once(&1).is_err());
    }

    #[test]
    fn the_number_of_subjects_is_bounded_and_the_quietest_goes_first() {
        let (throttle, clock) = throttle(1);
        let most = u32::try_from(MAX_SUBJECTS).unwrap();
        for subject in 0..most {
            throttle.try_once(&subject).unwrap();
            if subject == 0 {
                clock.advance(Duration::from_secs(1));
            }
        }
        throttle.try_once(&most).unwrap();
        let count = || throttle.subjects.lock().unwrap().len();
        assert_eq!(count(), MAX_SUBJECTS);
        assert!(throttle.try_once(&1).is_err(), "still counted");
        assert_eq!(throttle.try_once(&0), Ok(()), "the quietest was forgotten");
        clock.advance(MINUTE);
        throttle.try_once(&(most + 1)).unwrap();
        assert_eq!(count(), 1, "what is out of the window goes first");
    }

    #[test]
    fn one_client_is_one_address_or_one_network() {
        let client =
            |text: &str| ClientAddress::from(text.parse::<IpAddr>().expect("an IP address"));
        assert_eq!(client("192.0.2.1"), client("::ffff:192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff::9"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
    }
}

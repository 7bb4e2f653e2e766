//! Whether wall time may end things.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;

use super::{Clock, Timestamp};

/// How far wall time may move against monotonic time from one look to the next.
const MOST_APART: TimeDelta = TimeDelta::seconds(5);
/// How long both must agree after they parted.
const AGREEMENT: Duration = Duration::from_secs(60);

/// Watches wall time beside monotonic time (I22).
///
/// A clock that somebody sets a day ahead, or a machine that slept, would
/// end everything that waits, although no time has passed in which it could have been done: while the two disagree,
/// nothing is to be expired, pruned or made up.
///
/// Each look is compared with the one before, so a slow correction is never taken for a jump.
#[derive(Default)]
pub struct Steady(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    last: Option<(Timestamp, Duration)>,
    /// When they parted, by monotonic time.
    parted: Option<Duration>,
}

impl Steady {
    /// Looks at both at the same moment. `true` where they have moved alike since the look before, and for a minute if
    /// they had parted. The first look has nothing to compare, and trusts.
    pub fn look(&self, wall: Timestamp, monotonic: Duration) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((wall_before, monotonic_before)) = seen.last.replace((wall, monotonic)) {
            let passed = TimeDelta::from_std(monotonic.saturating_sub(monotonic_before));
            let apart = (wall - wall_before) - passed.unwrap_or(TimeDelta::MAX);
            if apart.abs() > MOST_APART {
                seen.parted = Some(monotonic);
            }
        }
        seen.parted = seen
            .parted
            .filter(|parted| monotonic.saturating_sub(*parted) < AGREEMENT);
        seen.parted.is_none()
    }

    /// [`Self::look`] at a clock.
    pub fn look_at(&self, clock: &dyn Clock) -> bool {
        self.look(clock.now(), clock.monotonic())
    }
}

impl fmt::Debug for Steady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steady").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const SECOND: Duration = Duration::from_secs(1);
    const DAY: TimeDelta = TimeDelta::days(1);

    /// I22.
    #[test]
    fn a_clock_that_was_set_is_not_trusted_until_a_minute_has_passed_without_another_jump() {
        let (clock, steady) = (
            ManualClock::at(Timestamp::UNIX_EPOCH + DAY * 9),
            Steady::default(),
        );
        assert!(steady.look_at(&clock), "nothing to compare with");
        clock.advance(86_400 * SECOND);
        assert!(steady.look_at(&clock), "a long wait is no jump");
        for jump in [DAY, -DAY, TimeDelta::seconds(6), TimeDelta::seconds(-6)] {
            clock.set(clock.now() + jump);
            assert!(!steady.look_at(&clock), "{jump}");
            for _ in 0..59 {
                clock.advance(SECOND);
                assert!(!steady.look_at(&clock), "{jump}");
            }
            clock.advance(SECOND);
            assert!(steady.look_at(&clock), "{jump}");
        }
        // There and back: a minute from the second jump on.
        clock.set(clock.now() + DAY);
        assert!(!steady.look_at(&clock));
        clock.advance(40 * SECOND);
        clock.set(clock.now() - DAY);
        assert!(!steady.look_at(&clock));
        clock.advance(59 * SECOND);
        assert!(!steady.look_at(&clock));
    }

    #[test]
    fn a_slow_correction_is_no_jump() {
        let (clock, steady) = (
            ManualClock::at(Timestamp::UNIX_EPOCH + DAY),
            Steady::default(),
        );
        for _ in 0..100 {
            clock.advance(SECOND);
            clock.set(clock.now() + TimeDelta::milliseconds(500));
            assert!(steady.look_at(&clock));
        }
    }
}

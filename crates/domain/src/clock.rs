//! Wall time, injected. Everything that asks "what time is it" holds a [`Clock`], so that a test decides the answer.
//!
//! Timestamps carry microseconds, the precision that both databases store: a value read back equals the value written.

use std::{
    fmt::Debug,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

pub use self::steady::Steady;

mod steady;

/// A point in time: UTC with microseconds.
pub type Timestamp = DateTime<Utc>;

/// The source of wall time. It may be set back by an operator: nothing may take two readings for an order of events.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The present time, cut to whole microseconds.
    fn now(&self) -> Timestamp;

    /// Time that has passed since some moment, by a clock that nobody sets: two readings tell how long it was between
    /// them.
    fn monotonic(&self) -> Duration;
}

/// The clock of the machine.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that reads the machine's clock"
        )]
        let now = SystemTime::now();
        whole_microseconds(DateTime::<Utc>::from(now))
    }

    fn monotonic(&self) -> Duration {
        static SOME_MOMENT: LazyLock<Instant> = LazyLock::new(Instant::now);
        SOME_MOMENT.elapsed()
    }
}

/// A clock that moves only when told to, for tests.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<(Timestamp, Duration)>,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            now: Mutex::new((whole_microseconds(now), Duration::ZERO)),
        }
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = (later(now.0, by), now.1.saturating_add(by));
    }

    /// Sets the clock, forward or back, as an operator does: no time passes.
    pub fn set(&self, to: Timestamp) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).0 = whole_microseconds(to);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn monotonic(&self) -> Duration {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// `at` later by `by`; the end of time where that is out of range.
#[must_use]
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    TimeDelta::from_std(by)
        .ok()
        .and_then(|by| at.checked_add_signed(by))
        .unwrap_or(Timestamp::MAX_UTC)
}

fn whole_microseconds(at: Timestamp) -> Timestamp {
    at.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(at)
}

//! A domain that asked for less: one mail a minute at first, twice as many after each one that is taken.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tracing::info;

use super::{Wait, pace::Turns};

/// Between two mails, at first.
const SLOWEST: Duration = Duration::from_secs(60);
/// Less than this between two mails is as fast as it was before.
const FASTEST: Duration = Duration::from_secs(1);
/// The longest that one answer is remembered.
const REMEMBERED: Duration = Duration::from_secs(90 * 60);

/// How one domain is spared.
#[derive(Default)]
pub(super) struct Slow {
    state: Mutex<Option<Spared>>,
    turns: Turns,
}

struct Spared {
    interval: Duration,
    next: Instant,
    until: Instant,
    /// One is on its way.
    taken: bool,
}

impl Slow {
    fn state(&self) -> MutexGuard<'_, Option<Spared>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the domain is spared.
    pub(super) fn is_on(&self) -> bool {
        self.state()
            .as_ref()
            .is_some_and(|spared| Instant::now() < spared.until)
    }

    /// Lets one mail through, if it is time for one.
    pub(super) fn enter(&self, domain: &str) -> Result<Option<Turn<'_>>, Wait> {
        let now = Instant::now();
        let mut state = self.state();
        let Some(spared) = state.as_mut().filter(|spared| now < spared.until) else {
            *state = None;
            return Ok(None);
        };
        if spared.taken || now < spared.next {
            let soonest = spared.next.saturating_duration_since(now);
            let soonest = if spared.taken {
                soonest.max(spared.interval)
            } else {
                soonest
            };
            let after = self.turns.next(soonest, spared.interval);
            let why = format!("{domain} asked for less mail at a time");
            return Err(Wait { after, why });
        }
        spared.taken = true;
        Ok(Some(Turn(self)))
    }

    /// The domain asked for less, or to be left alone for so long.
    pub(super) fn asked(&self, domain: &str, wait: Option<Duration>) {
        let now = Instant::now();
        let wait = wait.unwrap_or_default().max(SLOWEST).min(REMEMBERED);
        let mut state = self.state();
        let taken = state.as_ref().is_some_and(|spared| spared.taken);
        if state.is_none() {
            info!(domain, "asked for less mail at a time, and gets it slowly");
        }
        *state = Some(Spared {
            interval: SLOWEST,
            next: now + wait,
            until: now + REMEMBERED,
            taken,
        });
    }

    /// It took one.
    pub(super) fn took(&self) {
        let now = Instant::now();
        let mut state = self.state();
        if let Some(spared) = state.as_mut() {
            spared.interval /= 2;
            spared.next = now + spared.interval;
            if spared.interval < FASTEST {
                *state = None;
            }
        }
    }
}

/// The one mail that is on its way; the next may follow when it has ended.
pub(super) struct Turn<'a>(&'a Slow);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(spared) = self.0.state().as_mut() {
            spared.taken = false;
        }
    }
}

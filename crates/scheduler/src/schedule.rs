//! When a task runs.

use std::time::Duration;

use chrono_tz::Tz;
use posthaste_domain::clock::Timestamp;

use crate::cron::{Cron, InvalidCron};

/// When a task runs first, where its schedule is an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// When the scheduler starts.
    AtStart,
    /// One interval after the scheduler has started.
    AfterInterval,
}

/// An interval that no task can keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an interval is at least one millisecond")]
pub struct InvalidInterval;

/// A recurring rule.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// By the monotonic clock, from start to start: setting the wall clock changes nothing. A run that takes longer than
    /// the interval is followed by the next one at once, and what was missed meanwhile is not made up.
    Every {
        /// The interval.
        interval: Duration,
        /// When it begins.
        first: First,
    },
    /// By the wall clock of a time zone.
    Cron(Box<Cron>),
}

impl Schedule {
    /// An interval.
    ///
    /// # Errors
    /// [`InvalidInterval`] if it is shorter than a millisecond.
    pub fn every(interval: Duration, first: First) -> Result<Self, InvalidInterval> {
        if interval < Duration::from_millis(1) {
            Err(InvalidInterval)
        } else {
            Ok(Self::Every { interval, first })
        }
    }

    /// A cron expression of five fields, of six with seconds in front, or a name such as `@daily`.
    ///
    /// # Errors
    /// [`InvalidCron`] if it cannot be read or never fires.
    pub fn cron(expression: &str, zone: Tz, now: Timestamp) -> Result<Self, InvalidCron> {
        Cron::parse(expression, zone, now).map(|cron| Self::Cron(Box::new(cron)))
    }
}

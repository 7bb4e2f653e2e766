//! When a mail is to go out, as a submitter says it.

use std::{str::FromStr, time::Duration};

use chrono::{DateTime, SubsecRound, Utc};

use crate::clock::{Timestamp, later};

/// A time this long ago is taken for now: clocks differ, and requests take a while.
pub const GRACE: Duration = Duration::from_secs(5 * 60);
/// The furthest time that a mail is kept for.
pub const HORIZON: Duration = Duration::from_secs(30 * 86_400);

/// A time to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At an instant.
    At(Timestamp),
    /// After a wait.
    In(Duration),
}

/// A text that says no time. Nothing is guessed: a mail that was meant for tomorrow must not go out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a time like 2026-12-01T09:00:00Z, with Z or an offset, or a wait like `in 10 min`"
)]
pub struct InvalidWhen;

/// Why a mail is not kept until a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotDue {
    /// It was more than five minutes ago.
    #[error("the time is in the past")]
    Past,
    /// It is more than thirty days ahead.
    #[error("the time is more than 30 days ahead")]
    Far,
}

impl When {
    /// The instant, where it is `now`; nothing for a time that is now.
    ///
    /// # Errors
    /// [`NotDue`].
    pub fn from(self, now: Timestamp) -> Result<Option<Timestamp>, NotDue> {
        let at = match self {
            Self::At(at) => at,
            Self::In(wait) if wait > HORIZON => return Err(NotDue::Far),
            Self::In(wait) => later(now, wait),
        };
        if later(at, GRACE) < now {
            Err(NotDue::Past)
        } else if at > later(now, HORIZON) {
            Err(NotDue::Far)
        } else {
            Ok((at > now).then_some(at))
        }
    }
}

impl FromStr for When {
    type Err = InvalidWhen;

    /// RFC 3339 with `Z` or an offset, cut to microseconds, or `in N UNIT`: seconds, minutes, hours or days.
    fn from_str(text: &str) -> Result<Self, InvalidWhen> {
        let text = text.trim();
        let Some(wait) = text.strip_prefix("in ") else {
            let at = DateTime::parse_from_rfc3339(text).map_err(|_| InvalidWhen)?;
            return Ok(Self::At(at.with_timezone(&Utc).trunc_subsecs(6)));
        };
        let (count, unit) = wait.trim().split_once(' ').ok_or(InvalidWhen)?;
        let seconds = match unit.trim().trim_end_matches('s') {
            "" | "sec" | "second" => 1,
            "min" | "minute" => 60,
            "h" | "hour" => 3600,
            "d" | "day" => 86_400,
            _ => return Err(InvalidWhen),
        };
        let count: u32 = count.parse().map_err(|_| InvalidWhen)?;
        Ok(Self::In(Duration::from_secs(u64::from(count) * seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn now() -> Timestamp {
        "2026-12-01T09:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_time_has_an_offset_and_a_wait_has_a_unit() {
        let at = |text: &str| text.parse::<When>().map(|when| when.from(now()));
        let hour = Ok(Ok(Some(later(now(), HOUR))));
        for text in [
            "2026-12-01T10:00:00Z",
            "2026-12-01T12:00:00.0000001+02:00",
            "in 1 hour",
            "in 1 h",
            "in 60 min",
            "in 60 minutes",
            "in 3600 s",
            "in 3600 seconds",
        ] {
            assert_eq!(at(text), hour, "{text}");
        }
        assert_eq!(at("in 2 days"), Ok(Ok(Some(later(now(), 48 * HOUR)))));
        for text in [
            "",
            "in",
            "in 1",
            "in h",
            "in -1 h",
            "in 1.5 h",
            "in 1 month",
            "tomorrow at 9am",
            "2026-12-01T10:00:00",
            "2026-12-01",
            "1796115600",
        ] {
            assert_eq!(text.parse::<When>(), Err(InvalidWhen), "{text}");
        }
    }

    #[test]
    fn a_time_is_neither_long_ago_nor_far_ahead() {
        let at = |text: &str| text.parse::<When>().unwrap().from(now());
        assert_eq!(at("2026-12-01T08:55:00Z"), Ok(None));
        assert_eq!(at("in 0 s"), Ok(None));
        assert_eq!(at("2026-12-01T08:54:59Z"), Err(NotDue::Past));
        assert!(at("2026-12-31T09:00:00Z").is_ok());
        assert_eq!(at("2026-12-31T09:00:01Z"), Err(NotDue::Far));
        assert_eq!(at("in 31 days"), Err(NotDue::Far));
        assert_eq!(at("in 4294967295 days"), Err(NotDue::Far));
    }
}

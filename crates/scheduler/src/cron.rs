//! Cron expressions in a time zone.
//!
//! When clocks change: a local time that is skipped fires at the first moment behind the gap; one that occurs twice fires
//! once, at its first occurrence.

use std::fmt;

use chrono::Utc;
use chrono_tz::Tz;
use posthaste_domain::clock::Timestamp;

/// Why an expression is refused.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCron {
    /// It cannot be read.
    #[error("`{expression}` is not a cron expression")]
    Syntax {
        /// The expression.
        expression: String,
        /// What is wrong.
        source: croner::errors::CronError,
    },
    /// There is no such date, as in `0 0 30 2 *`.
    #[error("`{expression}` never fires")]
    Never {
        /// The expression.
        expression: String,
    },
}

/// A parsed expression with its time zone.
#[derive(Clone)]
pub struct Cron {
    expression: croner::Cron,
    text: String,
    zone: Tz,
}

impl Cron {
    pub(crate) fn parse(expression: &str, zone: Tz, now: Timestamp) -> Result<Self, InvalidCron> {
        let text = expression.to_owned();
        let parser = croner::parser::CronParser::builder()
            .seconds(croner::parser::Seconds::Optional)
            .build();
        match parser.parse(expression) {
            Ok(parsed) => {
                let cron = Self {
                    expression: parsed,
                    text,
                    zone,
                };
                let fires = cron.next_after(now).is_some();
                if fires {
                    Ok(cron)
                } else {
                    Err(InvalidCron::Never {
                        expression: cron.text,
                    })
                }
            }
            Err(source) => Err(InvalidCron::Syntax {
                expression: text,
                source,
            }),
        }
    }

    /// The first instant after `now`.
    #[must_use]
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let local = now.with_timezone(&self.zone);
        self.expression
            .find_next_occurrence(&local, false)
            .ok()
            .map(|next| next.with_timezone(&Utc))
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cron")
            .field("expression", &self.text)
            .field("zone", &self.zone.name())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, after: &str, expected: &[&str]) {
        let after: Timestamp = after.parse().unwrap();
        let cron = Cron::parse(expression, chrono_tz::Europe::Berlin, after).unwrap();
        let mut next = after;
        for expected in expected {
            next = cron.next_after(next).unwrap();
            assert_eq!(
                next,
                expected.parse::<Timestamp>().unwrap(),
                "{expression} after {after}"
            );
        }
    }

    #[test]
    fn five_and_six_fields_and_names_are_read() {
        check(
            "0 9 * * MON",
            "2026-11-24T00:00:00Z",
            &["2026-11-30T08:00:00Z"],
        );
        check(
            "30 0 9 * * *",
            "2026-11-24T00:00:00Z",
            &["2026-11-24T08:00:30Z"],
        );
        check("@daily", "2026-11-24T12:00:00Z", &["2026-11-24T23:00:00Z"]);
    }

    #[test]
    fn a_skipped_time_fires_behind_the_gap_and_a_repeated_one_once() {
        // Clocks go from 02:00 to 03:00 on 29 March 2026, and from 03:00 back to 02:00 on 25 October.
        check(
            "30 2 * * *",
            "2026-03-28T12:00:00Z",
            &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        );
        check(
            "30 2 * * *",
            "2026-10-24T12:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        );
    }

    #[test]
    fn what_cannot_fire_is_refused_when_it_is_declared() {
        let now = "2026-11-24T00:00:00Z".parse().unwrap();
        let refused = |expression| Cron::parse(expression, chrono_tz::UTC, now).unwrap_err();
        assert!(matches!(refused("0 0 30 2 *"), InvalidCron::Never { .. }));
        for nonsense in ["", "* * *", "61 * * * *", "a b c d e"] {
            assert!(
                matches!(refused(nonsense), InvalidCron::Syntax { .. }),
                "{nonsense:?}"
            );
        }
    }
}

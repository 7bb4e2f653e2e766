//! Streams: the configured ways of mail. A stream names its retry schedule and when its mail expires; the queue has one
//! lane of jobs for each.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use crate::retry_policy::RetryPolicy;

/// A text that cannot name a stream, a transport or an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("names are lower-case letters, digits and single `_`, and begin with a letter")]
pub struct InvalidName;

/// The name of a stream: `[a-z][a-z0-9_]*`, without `__` (it separates levels in environment variables).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName(String);

impl StreamName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StreamName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase());
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if starts_well && text.chars().all(is_part) && !text.contains("__") && text.len() <= 64 {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName)
        }
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What becomes of a mail whose reply was lost after its end was sent: the server may have taken it, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnUncertain {
    /// The same bytes go again later: at least one copy arrives, perhaps two.
    #[default]
    Resend,
    /// It is not sent again until a person says so: at most one copy arrives. What is about to be sent is committed first,
    /// so that this holds for a process that dies too.
    Hold,
}

/// What a stream promises about each of its mails.
#[derive(Debug, Clone)]
pub struct StreamPolicy {
    /// How long after its due time a mail may still be sent.
    pub expiry: Duration,
    /// The waits between attempts.
    pub retry: RetryPolicy,
    /// What becomes of a mail that was perhaps sent.
    pub on_uncertain: OnUncertain,
}

/// All configured streams by name.
#[derive(Debug, Clone, Default)]
pub struct Streams(BTreeMap<StreamName, StreamPolicy>);

impl Streams {
    /// The policy of a stream, if it is configured.
    #[must_use]
    pub fn get(&self, name: &StreamName) -> Option<&StreamPolicy> {
        self.0.get(name)
    }
}

impl FromIterator<(StreamName, StreamPolicy)> for Streams {
    fn from_iter<I: IntoIterator<Item = (StreamName, StreamPolicy)>>(streams: I) -> Self {
        Self(streams.into_iter().collect())
    }
}

//! Jobs: rows of work. A job says what to do (kind and payload) and in which lane; how often it was tried and by whom it
//! is held is the queue's business.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::lease::Lease;

/// A kind of work. The payload is stored as JSON: a later release must still read it.
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// The stored name of the kind; never changed once released.
    const KIND: &'static str;
}

/// The id of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(Uuid);

impl JobId {
    /// The id that is stored as `uuid`.
    #[must_use]
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The bare value.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// A text that cannot name a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a lane's name has 1 to 64 characters, none of them a control character")]
pub struct InvalidLane;

/// The queue's partition of jobs: one for each stream of mail. Permits belong to a lane, so that a lane that hangs holds
/// up no other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane(Arc<str>);

impl Lane {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Lane {
    type Err = InvalidLane;

    fn from_str(text: &str) -> Result<Self, InvalidLane> {
        if (1..=64).contains(&text.len()) && !text.chars().any(char::is_control) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidLane)
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A job to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its id, new for each job: one that is there already is not stored again, and fences are counted for each anew.
    pub id: JobId,
    /// Its lane.
    pub lane: Lane,
    /// [`Job::KIND`].
    pub kind: String,
    /// The job as JSON.
    pub payload: String,
    /// How long it waits before it may be claimed; zero: at once.
    pub delay: Duration,
    /// Whose work it is. The jobs of one tenant do not hold up those of another ([`crate::rank`]).
    pub tenant: String,
    /// After how long nobody wants it any more: it is then taken out unless a worker holds it.
    pub expires_in: Option<Duration>,
    /// No two live jobs share one: a job whose key is taken is not stored.
    pub unique: Option<String>,
}

impl NewJob {
    /// The stored form of `job`, to be run as soon as possible, for the tenant without a name.
    ///
    /// # Errors
    /// Whatever `job`'s `Serialize` reports.
    pub fn of<J: Job>(id: JobId, lane: Lane, job: &J) -> Result<Self, serde_json::Error> {
        let payload = serde_json::to_string(job)?;
        Ok(Self {
            id,
            lane,
            kind: J::KIND.to_owned(),
            payload,
            delay: Duration::ZERO,
            tenant: String::new(),
            expires_in: None,
            unique: None,
        })
    }
}

/// What a scope may know of the job it is opened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobMeta {
    /// Its id.
    pub id: JobId,
    /// Its lane.
    pub lane: Lane,
    /// Its kind.
    pub kind: String,
    /// Which attempt this is, from 1. Attempts given back do not count.
    pub attempt: u32,
    /// How many processes died, or deadlines passed, while it ran.
    pub crashes: u32,
    /// Whose work it is.
    pub tenant: String,
}

/// A job in the hands of one worker.
#[derive(Debug, PartialEq, Eq)]
pub struct ClaimedJob {
    /// The right to run it.
    pub lease: Lease,
    /// What it is.
    pub meta: JobMeta,
    /// The job as JSON.
    pub payload: String,
}

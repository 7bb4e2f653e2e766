//! Leases: the right to run a job, told apart from every earlier right to the same job by a fence.
//!
//! A lease is neither `Clone` nor `Copy`: whoever settles gives it away, so that nothing is settled twice by mistake.
//! (Against a mistake of another process there is the fence.)

use std::fmt;

use uuid::Uuid;

use crate::job::JobId;

/// The random id of one start of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BootId(Uuid);

impl BootId {
    /// A new one; no two starts share it.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

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

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A counter raised at each claim of a job. It never falls and is apart from the number of the attempt, which giving
/// back lowers again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fence(pub i64);

impl Fence {
    /// The fence of a job's first claim.
    pub const FIRST: Self = Self(1);

    /// The fence of the next claim.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The right to run `job`, as long as no newer fence was given out.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// Which claim of it this is.
    pub fence: Fence,
    /// Who holds it.
    pub boot: BootId,
}

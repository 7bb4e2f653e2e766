//! What a node holds, by its own books (I7). A claim whose reply was lost leaves leases that nobody runs: the queue says
//! the node holds them, the node knows nothing of them. What is so at two looks ten seconds apart is given back.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    job::JobId,
    lease::{Fence, Lease},
};

/// How often a node compares.
pub(crate) const LOOK: Duration = Duration::from_secs(5);
/// For how long a lease must have been unknown. More than the time in which a reply is still waited for.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// The leases of one life of a node that something in this process answers for.
#[derive(Debug, Default)]
pub(crate) struct Holdings(Mutex<HashSet<(JobId, Fence)>>);

impl Holdings {
    /// Something answers for this lease from now on.
    pub(crate) fn hold(&self, lease: &Lease) {
        self.set().insert((lease.job, lease.fence));
    }

    /// Its end is committed.
    pub(crate) fn ended(&self, leases: impl IntoIterator<Item = (JobId, Fence)>) {
        let mut set = self.set();
        for lease in leases {
            set.remove(&lease);
        }
    }

    fn set(&self) -> MutexGuard<'_, HashSet<(JobId, Fence)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the looks so far have found.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    last: Option<Instant>,
    unknown: HashMap<(JobId, Fence), Instant>,
}

impl Looks {
    /// Whether it is time for another one.
    pub(crate) fn is_due(&self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= LOOK)
    }

    /// Takes note of what the queue says this node holds; what nobody has answered for at two looks is to be given back.
    pub(crate) fn compare(
        &mut self,
        queue: Vec<(JobId, Fence)>,
        holdings: &Holdings,
    ) -> Vec<(JobId, Fence)> {
        let now = Instant::now();
        self.last = Some(now);
        let held = holdings.set();
        let unknown = queue.into_iter().filter(|lease| !held.contains(lease));
        let before = std::mem::take(&mut self.unknown);
        self.unknown = unknown
            .map(|lease| (lease, before.get(&lease).copied().unwrap_or(now)))
            .collect();
        let lost = self
            .unknown
            .iter()
            .filter(|(_, since)| now.duration_since(**since) >= UNKNOWN_FOR);
        lost.map(|(lease, _)| *lease).collect()
    }
}

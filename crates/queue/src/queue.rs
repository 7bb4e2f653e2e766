//! The trait that every backend of the queue implements: storage and nothing else.

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    controls::Controls,
    job::{ClaimedJob, JobId, Lane, NewJob},
    lease::{BootId, Fence},
    pulse::Pulse,
    rate::Rate,
    verdict::Settlement,
};

/// Why the queue did not answer.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// More waits to be written than the backend may hold; nothing was stored.
    #[error("the queue has too much to write")]
    Overloaded,
    /// The backend failed or is stopping. For a write the outcome may be unknown: a settlement is then repeated until
    /// it is applied or found stale.
    #[error("the queue is not available")]
    Unavailable(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
}

/// How many jobs of which lanes a worker can take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// Who claims.
    pub boot: BootId,
    /// The lanes, the most urgent first.
    pub lanes: Vec<LaneDemand>,
}

/// What one lane can take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneDemand {
    /// The lane.
    pub lane: Lane,
    /// Most jobs to claim from it.
    pub limit: usize,
    /// What holds for all nodes together.
    pub shared: SharedLimits,
}

/// Limits of a lane over all nodes. Jobs of a lane that has one are never handed over: they are counted where they are
/// claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SharedLimits {
    /// Most jobs in the hands of workers at a time.
    pub at_once: Option<u32>,
    /// Most jobs that start within a time.
    pub rate: Option<Rate>,
}

impl SharedLimits {
    /// Whether there is none.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.at_once.is_none() && self.rate.is_none()
    }
}

/// What a claim gave.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Claimed {
    /// The jobs.
    pub jobs: Vec<ClaimedJob>,
    /// How long until the next token, where a lane has jobs left that only its rate holds back.
    pub throttled: Option<Duration>,
}

/// What became of a job that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is stored.
    Stored,
    /// A job of that id was there already; nothing was changed.
    Known,
}

/// What became of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Verdict and effects are committed.
    Applied,
    /// The lease was not the newest any more: no state was changed.
    Stale,
}

/// What a sweep found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Nodes that have died.
    pub nodes: u64,
    /// Jobs taken back.
    pub jobs: u64,
}

/// What a promotion found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promoted {
    /// How many jobs became ready.
    pub count: u64,
    /// How many were taken out because their time was over.
    pub expired: u64,
    /// How long until the next one is due, if one waits.
    pub next_due: Option<Duration>,
}

/// A queue of jobs that outlives the process, or pretends to.
///
/// Implementations are storage only: no loop, no registry, no retry arithmetic.
#[async_trait]
pub trait Queue: Debug + Send + Sync + 'static {
    /// What is committed together with a job's end.
    type Effects: Debug + Send + Sync + 'static;

    /// Enters a node that is about to claim, and begins to beat for it where others judge it.
    async fn join(&self, boot: BootId) -> Result<Pulse, QueueError>;

    /// Gives back all that the node holds, attempts unspent, and takes its row out, in one transaction.
    async fn leave(&self, boot: BootId) -> Result<(), QueueError>;

    /// Stores jobs, all or none. The answers are in the order of the jobs.
    async fn push(&self, jobs: Vec<NewJob>) -> Result<Vec<Pushed>, QueueError>;

    /// Takes ready jobs, in the order of their [ranks](crate::rank) within a lane, no more than each lane's limit. No job
    /// is given to two callers; the fence of each is higher than any that was given out for it before. Of a paused lane
    /// nothing is given out.
    async fn claim(&self, request: ClaimRequest) -> Result<Claimed, QueueError>;

    /// Takes one job of these lanes that must run apart ([`crate::suspect`]); [`Queue::claim`] gives none of them out.
    async fn claim_suspect(
        &self,
        boot: BootId,
        lanes: &[Lane],
    ) -> Result<Option<ClaimedJob>, QueueError>;

    /// Ends leases. Each settlement is applied whole if its lease is the newest of its job, else not at all. The answers
    /// are in the order of the settlements. Repeating a call whose answer was lost is safe.
    async fn settle(
        &self,
        batch: Arc<[Settlement<Self::Effects>]>,
    ) -> Result<Vec<Settled>, QueueError>;

    /// What this node holds, by the queue's books: to be compared with what it knows of (I7).
    async fn held(&self, boot: BootId) -> Result<Vec<(JobId, Fence)>, QueueError>;

    /// What operators have switched, as far as this process knows. It changes by itself.
    fn controls(&self) -> Controls;

    /// Looks after the other nodes: takes the jobs of dead ones back, with a crash counted for each, and those that no
    /// live node holds. Called about once a second by every node that works; any number of them may do it at once.
    async fn sweep(&self) -> Result<Swept, QueueError>;

    /// Makes jobs ready whose wait is over, and takes out those that nobody holds and whose time is over, of paused lanes
    /// too (I24).
    async fn promote(&self) -> Result<Promoted, QueueError>;
}

//! What people do with a queue: look at it, pause and resume lanes, take jobs back, and decide about those that died.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::{
    controls::ControlVersion,
    job::{JobId, Lane},
    lease::BootId,
    queue::QueueError,
};

/// One lane as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneStatus {
    /// The lane.
    pub lane: Lane,
    /// Whether it is paused.
    pub paused: bool,
    /// Jobs that could start.
    pub ready: u64,
    /// Jobs that wait for their time.
    pub scheduled: u64,
    /// Jobs in the hands of workers.
    pub leased: u64,
    /// Jobs that wait to run apart ([`crate::suspect`]).
    pub suspect: u64,
    /// How long ago the oldest of its live jobs was stored, if there is one.
    pub oldest: Option<Duration>,
}

impl LaneStatus {
    /// Of a lane without jobs that nobody has paused.
    #[must_use]
    pub const fn idle(lane: Lane) -> Self {
        Self {
            lane,
            paused: false,
            ready: 0,
            scheduled: 0,
            leased: 0,
            suspect: 0,
            oldest: None,
        }
    }
}

/// Why a job needs a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It cannot succeed by itself.
    Dead,
    /// It has brought down each process that ran it.
    Quarantined,
}

/// A job that needs a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadJob {
    /// Its id.
    pub id: JobId,
    /// Its lane.
    pub lane: Lane,
    /// Its kind.
    pub kind: String,
    /// The job as JSON.
    pub payload: String,
    /// Whose work it is.
    pub tenant: String,
    /// Attempts made.
    pub attempts: u32,
    /// Crashes counted.
    pub crashes: u32,
    /// Why it is here.
    pub cause: Cause,
    /// The same in words.
    pub reason: String,
    /// The error of its last attempt that was tried again.
    pub last_error: Option<String>,
    /// How long ago it was stored.
    pub age: Duration,
    /// How long ago it died.
    pub dead_for: Duration,
}

/// Which dead jobs; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeadFilter {
    /// That one.
    pub id: Option<JobId>,
    /// Of this lane.
    pub lane: Option<Lane>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this tenant.
    pub tenant: Option<String>,
    /// For this cause.
    pub cause: Option<Cause>,
    /// Dead for at least so long.
    pub dead_for: Option<Duration>,
}

/// How taking a job back ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It has left the queue.
    Cancelled,
    /// A worker holds it right now.
    InHand,
    /// There is no such live job.
    Absent,
}

/// How moving a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rescheduled {
    /// It waits for its new time.
    Rescheduled,
    /// It does not wait for its first attempt any more.
    TooLate,
    /// There is no such live job.
    Absent,
}

/// See the module. Every call decides by one conditional write, never by a state that was read before (I25).
#[async_trait]
pub trait Operate: Debug + Send + Sync + 'static {
    /// All lanes that have live jobs or were ever paused or claimed from, by name.
    async fn lanes(&self) -> Result<Vec<LaneStatus>, QueueError>;

    /// Nothing more of this lane starts or is let out, on any node that shows the returned version. What workers hold and
    /// have not begun goes back, what is under way is stopped at its gate.
    async fn pause(&self, lane: &Lane) -> Result<ControlVersion, QueueError>;

    /// The lane goes on.
    async fn resume(&self, lane: &Lane) -> Result<ControlVersion, QueueError>;

    /// Live nodes that do not show this version yet.
    async fn lagging(&self, version: ControlVersion) -> Result<Vec<BootId>, QueueError>;

    /// Takes a job back that no worker holds.
    async fn cancel(&self, job: JobId) -> Result<Cancelled, QueueError>;

    /// Gives a job that waits for its first attempt another time.
    async fn reschedule(&self, job: JobId, delay: Duration) -> Result<Rescheduled, QueueError>;

    /// Dead jobs, the newest first: at most `limit`, those behind `after` in that order.
    async fn dead(
        &self,
        filter: &DeadFilter,
        after: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<DeadJob>, QueueError>;

    /// Puts at most `limit` dead jobs back, their attempts and crashes forgotten; fences go on where they were. Says how
    /// many. A job whose unique key is taken meanwhile stays.
    async fn retry_dead(&self, filter: &DeadFilter, limit: u32) -> Result<u64, QueueError>;

    /// Forgets at most `limit` dead jobs and says how many.
    async fn discard_dead(&self, filter: &DeadFilter, limit: u32) -> Result<u64, QueueError>;
}

//! The queue: jobs, leases with a fence, verdicts, the bounded in-process channel, and the worker that ties them
//! together. Backends ([`Queue`]) are storage only; the loop that claims, runs and settles lives here once, in
//! [`worker`].
//!
//! What holds for every backend, and is checked by the `contract` suite: no job is held by two leases at a time; a
//! settlement whose fence is not the newest changes no state; `settle` is all or nothing for each job.

pub mod backoff;
pub mod channel;
#[cfg(feature = "contract")]
pub mod contract;
pub mod controls;
pub mod handler;
pub mod handover;
pub mod job;
pub mod lease;
pub mod memory;
pub mod operate;
pub mod pulse;
pub mod queue;
pub mod rank;
pub mod rate;
pub mod registry;
pub mod scope;
pub mod suspect;
mod sync;
pub mod verdict;
pub mod worker;

pub use crate::{
    backoff::Backoff,
    controls::{ControlVersion, Controls},
    handler::{JobError, JobHandler, Outcome},
    handover::{Handover, Reservation},
    job::{ClaimedJob, InvalidLane, Job, JobId, JobMeta, Lane, NewJob},
    lease::{BootId, Fence, Lease},
    memory::MemoryQueue,
    operate::Operate,
    pulse::Pulse,
    queue::{
        ClaimRequest, Claimed, LaneDemand, Promoted, Pushed, Queue, QueueError, Settled,
        SharedLimits, Swept,
    },
    rank::{Rank, Ranks, Turn},
    rate::Rate,
    registry::Registry,
    scope::{End, Hold, ScopeError, ScopeFactory},
    verdict::{Settlement, Verdict},
    worker::{LaneConfig, Worker, WorkerConfig, WorkerError},
};

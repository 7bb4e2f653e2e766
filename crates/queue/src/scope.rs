//! The scope of a job: services that live as long as one attempt, as a request scope does in a web framework.
//!
//! [`ScopeFactory::Root`] owns them, on the worker's stack; handlers get a [`ScopeFactory::Scope`] that *borrows* from
//! it. A singleton is `'static` and so cannot keep what it was lent: capturing a scoped service in one is an error of the
//! compiler, not of a review (the cases in `tests/captive` show it).

use async_trait::async_trait;
use posthaste_host::Stop;

use crate::{
    controls::Controls,
    job::{JobMeta, Lane},
    lease::{BootId, Fence, Lease},
    pulse::Pulse,
};

/// How a job's attempt ended, told to its scope when it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The handler returned an outcome.
    Completed,
    /// The handler returned an error.
    Failed,
    /// The handler panicked.
    Panicked,
    /// The handler was dropped: its deadline passed, or the node had to stop at once.
    Cancelled,
}

/// A scope could not be opened; the attempt counts as failed.
#[derive(Debug, thiserror::Error)]
#[error("the scope of a job could not be opened")]
pub struct ScopeError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// What an attempt still has of its job.
#[derive(Debug, Clone)]
pub struct Hold {
    boot: BootId,
    fence: Fence,
    stop: Stop,
    pulse: Pulse,
    switch: Option<(Controls, Lane)>,
}

impl Hold {
    /// Of an attempt under this lease that is stopped by `stop`, on a node with this pulse.
    #[must_use]
    pub fn new(lease: &Lease, stop: Stop, pulse: Pulse) -> Self {
        Self {
            boot: lease.boot,
            fence: lease.fence,
            stop,
            pulse,
            switch: None,
        }
    }

    /// The same, no good either while operators have paused `lane`.
    #[must_use]
    pub fn switched_by(self, controls: Controls, lane: Lane) -> Self {
        Self {
            switch: Some((controls, lane)),
            ..self
        }
    }

    /// Whose lease this is, and which one: what the attempt writes before its end is written under it.
    #[must_use]
    pub fn mark(&self) -> (BootId, Fence) {
        (self.boot, self.fence)
    }

    /// This attempt's own: requested when the node begins to stop, forced when the attempt has ended or must end at once.
    #[must_use]
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Whether the attempt may still let something out that cannot be taken back. Asked right before that.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let paused = |(controls, lane): &(Controls, Lane)| controls.is_paused(lane);
        !self.stop.is_forced() && self.pulse.is_fresh() && !self.switch.as_ref().is_some_and(paused)
    }
}

/// Opens and closes the scope of each job.
#[async_trait]
pub trait ScopeFactory: Send + Sync + 'static {
    /// Owns one job's services.
    type Root: Send + Sync;

    /// What handlers get: borrowed from the root for as long as the attempt runs.
    type Scope<'job>: Copy + Send + Sync
    where
        Self: 'job;

    /// Makes the services of one attempt.
    async fn open(&self, job: &JobMeta, hold: Hold) -> Result<Self::Root, ScopeError>;

    /// Lends the services.
    fn scope<'job>(root: &'job Self::Root) -> Self::Scope<'job>;

    /// Ends the services. Called exactly once for each root, on success, error, panic and cancellation; it takes the root
    /// by value, which an escaped borrow would not allow.
    async fn close(&self, root: Self::Root, end: End);
}

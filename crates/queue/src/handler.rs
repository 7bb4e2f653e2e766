//! Handlers: what is done for a kind of job.

use async_trait::async_trait;

use crate::{job::Job, scope::ScopeFactory, verdict::Verdict};

/// An expected end of a job: what becomes of it, and what is committed together with that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<E> {
    /// What becomes of the job.
    pub verdict: Verdict,
    /// What is committed with it.
    pub effects: Option<E>,
}

impl<E> Outcome<E> {
    /// An outcome with nothing to commit beside the verdict.
    #[must_use]
    pub const fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            effects: None,
        }
    }

    /// The job is done.
    #[must_use]
    pub const fn done() -> Self {
        Self::of(Verdict::Done)
    }

    /// The same with effects.
    #[must_use]
    pub fn with(self, effects: E) -> Self {
        Self {
            effects: Some(effects),
            ..self
        }
    }
}

/// An unexpected end of a job: it is tried again by the worker's [`Backoff`](crate::Backoff).
#[derive(Debug, thiserror::Error)]
#[error("the job failed")]
pub struct JobError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl JobError {
    /// A failure caused by `source`.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// Does one kind of job. A handler is a singleton: it lives as long as the process and sees each job's own services only
/// through the scope it is lent.
#[async_trait]
pub trait JobHandler<F: ScopeFactory>: Send + Sync + 'static {
    /// The kind.
    type Job: Job;
    /// What its end commits.
    type Effects: Send + Sync + 'static;

    /// Runs one attempt. It may be dropped at any await: when its deadline passes, or when the node must stop at once.
    async fn handle(
        &self,
        job: Self::Job,
        scope: F::Scope<'_>,
    ) -> Result<Outcome<Self::Effects>, JobError>;
}

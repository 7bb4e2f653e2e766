//! Which handler does which kind of job. Types are erased here, once.

use std::{collections::HashMap, fmt, sync::Arc};

use async_trait::async_trait;

use crate::{
    handler::{JobError, JobHandler, Outcome},
    job::Job,
    scope::ScopeFactory,
};

/// The handlers of a worker, by kind.
pub struct Registry<F: ScopeFactory, E> {
    handlers: HashMap<&'static str, Arc<dyn ErasedHandler<F, E>>>,
}

impl<F: ScopeFactory, E: Send + Sync + 'static> Registry<F, E> {
    /// A registry without handlers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            handlers: HashMap::new(),
        }
    }

    /// The same with `handler` for its kind; a later one for the same kind takes its place.
    #[must_use]
    pub fn with<H: JobHandler<F, Effects = E>>(mut self, handler: H) -> Self {
        self.handlers.insert(H::Job::KIND, Arc::new(Typed(handler)));
        self
    }

    pub(crate) fn get(&self, kind: &str) -> Option<Arc<dyn ErasedHandler<F, E>>> {
        self.handlers.get(kind).map(Arc::clone)
    }
}

impl<F: ScopeFactory, E: Send + Sync + 'static> Default for Registry<F, E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: ScopeFactory, E> fmt::Debug for Registry<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.handlers.keys()).finish()
    }
}

/// A handler that reads its own payload.
#[async_trait]
pub(crate) trait ErasedHandler<F: ScopeFactory, E>: Send + Sync {
    async fn run(&self, payload: &str, scope: F::Scope<'_>) -> Result<Outcome<E>, JobError>;
}

struct Typed<H>(H);

#[async_trait]
impl<F: ScopeFactory, E, H: JobHandler<F, Effects = E>> ErasedHandler<F, E> for Typed<H> {
    async fn run(&self, payload: &str, scope: F::Scope<'_>) -> Result<Outcome<E>, JobError> {
        let job = serde_json::from_str(payload).map_err(JobError::new)?;
        self.0.handle(job, scope).await
    }
}

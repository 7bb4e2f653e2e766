//! Opens a scope for each job. The services that live as long as the process stand here; what a job gets of them, and for
//! how long, is decided in [`crate::scope`].

use std::sync::Arc;

use async_trait::async_trait;
use posthaste_domain::stores::MessageStore;
use posthaste_mail::Deliver;
use posthaste_queue::{End, Hold, JobMeta, ScopeError, ScopeFactory};
use tracing::debug;

use crate::scope::{JobRoot, JobScope};

/// The services that jobs use.
#[derive(Debug, Clone)]
pub struct Services {
    messages: Arc<dyn MessageStore>,
    deliver: Arc<Deliver>,
}

impl Services {
    /// These services.
    #[must_use]
    pub fn new(messages: Arc<dyn MessageStore>, deliver: Arc<Deliver>) -> Self {
        Self { messages, deliver }
    }

    pub(crate) fn messages(&self) -> &dyn MessageStore {
        &*self.messages
    }

    pub(crate) fn deliver(&self) -> &Deliver {
        &self.deliver
    }
}

/// Makes a root for each attempt.
#[derive(Debug)]
pub struct JobScopes {
    services: Services,
}

impl JobScopes {
    /// Scopes over these services.
    #[must_use]
    pub fn new(services: Services) -> Self {
        Self { services }
    }
}

#[async_trait]
impl ScopeFactory for JobScopes {
    type Root = JobRoot;
    type Scope<'job> = JobScope<'job>;

    async fn open(&self, job: &JobMeta, hold: Hold) -> Result<JobRoot, ScopeError> {
        Ok(JobRoot::new(job.clone(), self.services.clone(), hold))
    }

    fn scope<'job>(root: &'job JobRoot) -> JobScope<'job> {
        root.lend()
    }

    async fn close(&self, root: JobRoot, end: End) {
        debug!(?end, attempt = root.lend().job().attempt, "attempt ended");
    }
}

//! Opens a scope for each job. The services that live as long as the process stand here; what a job gets of them, and for
//! how long, is decided in [`crate::scope`].

use std::sync::Arc;

use async_trait::async_trait;
use posthaste_domain::{id::MessageId, stores::MessageStore};
use posthaste_mail::{Deliver, Passing};
use posthaste_queue::{BootId, End, Fence, Hold, JobMeta, Lane, ScopeError, ScopeFactory};
use posthaste_store::Store;
use tracing::{debug, warn};

use crate::scope::{JobRoot, JobScope};

/// The services that jobs use.
#[derive(Debug, Clone)]
pub struct Services {
    messages: Arc<dyn MessageStore>,
    deliver: Arc<Deliver>,
    holding: Holding,
}

/// The streams whose mail is never sent twice, and where it is noted what is about to be sent.
#[derive(Debug, Clone)]
pub struct Holding {
    store: Arc<Store>,
    lanes: Arc<[Lane]>,
    /// Mail goes to one address in place of those it is for: who passes the gate says nothing.
    redirected: bool,
}

impl Holding {
    /// Of these lanes; with `redirected`, all of a mail goes to one address.
    #[must_use]
    pub fn new(store: Arc<Store>, lanes: impl IntoIterator<Item = Lane>, redirected: bool) -> Self {
        Self {
            store,
            lanes: lanes.into_iter().collect(),
            redirected,
        }
    }
}

/// Where the gate of one job notes what is about to be sent.
#[derive(Debug)]
pub(crate) struct Record {
    store: Arc<Store>,
    message: MessageId,
    redirected: bool,
}

impl Record {
    /// Whether it is noted, under the lease that is still the newest.
    pub(crate) async fn note(&self, lease: (BootId, Fence), passing: Passing<'_>) -> bool {
        let Passing { hash, recipients } = passing;
        let recipients = (!self.redirected).then_some(recipients);
        let noted = self
            .store
            .put_in_doubt(lease, self.message, recipients, hash)
            .await;
        noted.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            warn!(message.id = %self.message, error, "not sent, for it could not be noted first");
            false
        })
    }
}

impl Services {
    /// These services.
    #[must_use]
    pub fn new(messages: Arc<dyn MessageStore>, deliver: Arc<Deliver>, holding: Holding) -> Self {
        Self {
            messages,
            deliver,
            holding,
        }
    }

    /// What a job must note before a mail of its is sent: the job that sends a message has its id.
    pub(crate) fn record_of(&self, job: &JobMeta) -> Option<Record> {
        let Holding {
            store,
            lanes,
            redirected,
        } = &self.holding;
        lanes.contains(&job.lane).then(|| Record {
            store: Arc::clone(store),
            message: MessageId::from_uuid(job.id.as_uuid()),
            redirected: *redirected,
        })
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

//! The scope of a job: what a handler may use, borrowed from a root that lives on the worker's stack for one attempt.
//!
//! Every accessor returns a type that carries `'job`. A handler is `'static` and so cannot keep any of it (P11):
//!
//! ```compile_fail,E0597
//! use posthaste_composition::scope::{JobRoot, JobScope};
//!
//! struct Singleton {
//!     kept: JobScope<'static>,
//! }
//!
//! fn capture(root: JobRoot) -> Singleton {
//!     Singleton { kept: root.lend() }
//! }
//! ```
//!
//! What lives no longer than the attempt may hold it:
//!
//! ```
//! use posthaste_composition::scope::{JobRoot, JobScope};
//!
//! struct Attempt<'job> {
//!     used: JobScope<'job>,
//! }
//!
//! fn use_it(root: &JobRoot) -> Attempt<'_> {
//!     Attempt { used: root.lend() }
//! }
//! ```
//!
//! Nor can it be given to a task that outlives the attempt:
//!
//! ```compile_fail,E0521
//! use posthaste_composition::scope::JobScope;
//!
//! fn capture(scope: JobScope<'_>) {
//!     let mut tasks = tokio::task::JoinSet::new();
//!     tasks.spawn(async move {
//!         scope.messages();
//!     });
//! }
//! ```
//!
//! while a task may have what the scope only computed:
//!
//! ```
//! use posthaste_composition::scope::JobScope;
//!
//! fn pass_on(scope: JobScope<'_>) {
//!     let attempt: u32 = scope.job().attempt;
//!     let work = async move { attempt + 1 };
//!     drop(work);
//! }
//! ```
//!
//! Nor can the state of a web application keep it, which has to be `'static` and cloned at will:
//!
//! ```compile_fail,E0521
//! use posthaste_composition::scope::JobScope;
//!
//! fn state_of_an_application<S: Clone + Send + Sync + 'static>(state: S) {}
//!
//! fn capture(scope: JobScope<'_>) {
//!     state_of_an_application(scope);
//! }
//! ```
//!
//! ```
//! fn state_of_an_application<S: Clone + Send + Sync + 'static>(state: S) {}
//!
//! fn pass_on(scope: posthaste_composition::scope::JobScope<'_>) {
//!     state_of_an_application(scope.job().attempt);
//! }
//! ```

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use posthaste_domain::stores::MessageStore;
use posthaste_mail::{DataGate, Deliver, Gate, GateShut, Passing};
use posthaste_queue::{Hold, JobMeta};

use crate::scopes::{Record, Services};

/// Owns the services of one attempt.
#[derive(Debug)]
pub struct JobRoot {
    job: JobMeta,
    services: Services,
    gate: LeaseGate,
}

impl JobRoot {
    pub(crate) fn new(job: JobMeta, services: Services, hold: Hold) -> Self {
        let record = services.record_of(&job);
        Self {
            job,
            services,
            gate: LeaseGate {
                hold,
                record,
                recorded: AtomicBool::new(false),
            },
        }
    }

    /// Lends the services for as long as the root lives.
    #[must_use]
    pub fn lend(&self) -> JobScope<'_> {
        JobScope { root: self }
    }
}

/// What a handler gets.
#[derive(Debug, Clone, Copy)]
pub struct JobScope<'job> {
    root: &'job JobRoot,
}

impl<'job> JobScope<'job> {
    /// The job.
    #[must_use]
    pub fn job(self) -> &'job JobMeta {
        &self.root.job
    }

    /// The stored messages.
    #[must_use]
    pub fn messages(self) -> &'job dyn MessageStore {
        self.root.services.messages()
    }

    /// The delivery of a message.
    #[must_use]
    pub fn deliver(self) -> &'job Deliver {
        self.root.services.deliver()
    }

    /// Whether this attempt may still let a mail out.
    #[must_use]
    pub fn gate(self) -> &'job Gate {
        &self.root.gate
    }

    /// Whether the gate has noted that a mail may be out.
    #[must_use]
    pub fn is_in_doubt(self) -> bool {
        self.root.gate.recorded.load(Ordering::Acquire)
    }
}

/// Shut as soon as the attempt must end: its deadline passed, or the node stops at once. On streams that send again after
/// an unknown outcome nothing is recorded: asking costs one atomic load. On those that hold such a mail, what is about to
/// be sent is committed first.
#[derive(Debug)]
struct LeaseGate {
    hold: Hold,
    record: Option<Record>,
    recorded: AtomicBool,
}

#[async_trait]
impl DataGate for LeaseGate {
    async fn open(&self, passing: Passing<'_>) -> Result<(), GateShut> {
        if !self.hold.is_good() {
            return Err(GateShut);
        }
        let Some(record) = &self.record else {
            return Ok(());
        };
        // Whatever the answer, it may have been written.
        self.recorded.store(true, Ordering::Release);
        let noted = record.note(self.hold.mark(), passing).await;
        // The commit took its time.
        if noted && self.hold.is_good() {
            Ok(())
        } else {
            Err(GateShut)
        }
    }
}

//! What the host runs that no other crate brings as a service.

use std::sync::Arc;

use async_trait::async_trait;
use posthaste_host::{HostedService, Ready, ServiceError, Stop};
use posthaste_queue::Worker;
use posthaste_store::Store;

use crate::{memory_streams::MemorySenders, scopes::JobScopes};

/// Started first and stopped last: whatever the others write while they stop is still written.
pub(super) struct StoreService(pub(super) Arc<Store>);

#[async_trait]
impl HostedService for StoreService {
    fn name(&self) -> &str {
        "store"
    }

    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<(), ServiceError> {
        ready.ready();
        tokio::select! {
            biased;
            () = stop.requested() => {}
            () = self.0.ended() => return Err("the writing task ended".into()),
        }
        self.0.close().await;
        Ok(())
    }
}

/// The worker, and beside it what sends the mail of streams in memory: both have the whole time of one stop.
pub(super) struct WorkerService {
    pub(super) worker: Worker<JobScopes, Store>,
    pub(super) senders: MemorySenders,
}

#[async_trait]
impl HostedService for WorkerService {
    fn name(&self) -> &str {
        "worker"
    }

    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<(), ServiceError> {
        let Self { worker, senders } = *self;
        let beside = stop.child();
        let working = async {
            let ended = Box::new(worker).run(ready, stop).await;
            beside.request();
            ended
        };
        let (ended, ()) = tokio::join!(working, senders.run(&beside));
        ended
    }
}

/// A service behind a box.
pub(super) struct Boxed(pub(super) Box<dyn HostedService>);

#[async_trait]
impl HostedService for Boxed {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<(), ServiceError> {
        self.0.run(ready, stop).await
    }
}

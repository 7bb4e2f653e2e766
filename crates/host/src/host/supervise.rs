//! Runs one service to its end, building it again where that is its policy. Panics are turned into errors here.

use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tracing::{error, warn};

use super::builder::{Entry, Factory, Kind};
use crate::{
    restart::{Failures, OnFailure, RestartPolicy},
    service::{HostedService, Ready, ServiceError, said},
    stop::Stop,
};

/// How a supervised service ended.
pub(super) enum Outcome {
    /// As it was told to, or in a way that is to be ignored.
    Ended,
    /// In a way that stops the host.
    Failed(ServiceError),
}

/// A restarting service has used up its failures.
#[derive(Debug, thiserror::Error)]
#[error("failed more than {most} times within {} s", within.as_secs())]
struct TooManyFailures {
    most: usize,
    within: Duration,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// What tells a service to end, or lets it.
pub(super) struct Orders {
    /// Its own stop.
    pub(super) stop: Stop,
    /// Given when the host is to stop.
    pub(super) host: Stop,
}

impl Orders {
    fn may_end(&self) -> bool {
        self.stop.is_requested() || self.host.is_requested()
    }
}

pub(super) async fn supervise(entry: Entry, ready: Ready, orders: Orders) -> Outcome {
    let Entry {
        name,
        options,
        kind,
    } = entry;
    let ended = match kind {
        Kind::Once(service) => life(move || service, ready, &orders).await,
        Kind::Restarting { policy, factory } => {
            let lives = Lives {
                name: &name,
                policy,
                factory,
                start_timeout: options.start_timeout,
            };
            lives.run(ready, &orders).await
        }
    };
    match (ended, options.on_failure) {
        (Ok(()), _) => Outcome::Ended,
        (Err(error), OnFailure::StopHost) => Outcome::Failed(error),
        (Err(error), OnFailure::Ignore) => {
            error!(
                service = name,
                error = error.cause(),
                "service failed; the host goes on without it"
            );
            Outcome::Ended
        }
    }
}

/// One life of a service, from its making on. To end while nothing stops is a failure too.
async fn life(
    make: impl FnOnce() -> Box<dyn HostedService>,
    ready: Ready,
    orders: &Orders,
) -> Result<(), ServiceError> {
    let whole = async { make().run(ready, orders.stop.clone()).await };
    match AssertUnwindSafe(whole).catch_unwind().await {
        Ok(Ok(())) if orders.may_end() => Ok(()),
        Ok(Ok(())) => Err("ended although nobody had asked it to".into()),
        Ok(Err(error)) => Err(error),
        Err(panic) => Err(panicked(&*panic)),
    }
}

/// A panic as an error.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> ServiceError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a message")).into()
}

/// The lives of a service that is built again when it fails.
struct Lives<'a> {
    name: &'a str,
    policy: RestartPolicy,
    factory: Factory,
    start_timeout: Duration,
}

impl Lives<'_> {
    async fn run(mut self, ready: Ready, orders: &Orders) -> Result<(), ServiceError> {
        let stop = &orders.stop;
        let mut failures = Failures::new(self.policy);
        let mut first_ready = Some(ready);
        loop {
            let (ready, mut is_ready) = Ready::channel();
            let ended = tokio::select! {
                biased;
                ended = life(|| (self.factory)(), ready, orders) => ended,
                late = late(&mut is_ready, &mut first_ready, self.start_timeout, stop) => Err(late),
            };
            if is_ready.try_recv().is_ok()
                && let Some(first) = first_ready.take()
            {
                // It was ready, and ended before that was looked at.
                first.ready();
            }
            let Err(error) = ended else { return Ok(()) };
            if stop.is_requested() {
                return Err(error);
            }
            let Some(wait) = failures.count() else {
                return Err(TooManyFailures {
                    most: self.policy.most,
                    within: self.policy.within,
                    source: error.into_cause(),
                }
                .into());
            };
            warn!(
                service = self.name,
                error = error.cause(),
                wait_ms = wait.as_millis(),
                "service failed; starting it again"
            );
            tokio::select! {
                biased;
                () = stop.requested() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

/// Passes the first "ready" of any life on to the host, which limits the time until then. After that a life that is not
/// ready within `limit` is late; while the service stops, its share of the stop is its only limit.
async fn late(
    is_ready: &mut oneshot::Receiver<()>,
    first_ready: &mut Option<Ready>,
    limit: Duration,
    stop: &Stop,
) -> ServiceError {
    if first_ready.is_some() {
        said(is_ready).await;
        if let Some(first) = first_ready.take() {
            first.ready();
        }
    } else {
        tokio::select! {
            biased;
            () = said(is_ready) => {}
            () = stop.requested() => {}
            () = tokio::time::sleep(limit) => {
                return format!("was not ready within {} s", limit.as_secs_f32()).into();
            }
        }
    }
    std::future::pending().await
}

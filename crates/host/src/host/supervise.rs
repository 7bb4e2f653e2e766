//! Runs one service to its end, building it again where that is its policy. Panics are turned into errors here.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tracing::{error, warn};

use super::builder::{Entry, Factory, Kind};
use crate::{
    restart::{Failures, OnFailure, RestartPolicy},
    service::{HostedService, Ready, ServiceError},
    stop::Stop,
};

/// How a supervised service ended.
pub(super) enum Outcome {
    /// As it was told to, or in a way that is to be ignored.
    Ended,
    /// In a way that stops the host.
    Failed(ServiceError),
}

pub(super) async fn supervise(entry: Entry, ready: Ready, stop: Stop) -> Outcome {
    let Entry {
        name,
        options,
        kind,
    } = entry;
    let ended = match kind {
        Kind::Once(service) => once(service, ready, &stop).await,
        Kind::Restarting { policy, factory } => {
            restarting(&name, policy, factory, ready, &stop).await
        }
    };
    match (ended, options.on_failure) {
        (Ok(()), _) => Outcome::Ended,
        (Err(error), OnFailure::StopHost) => Outcome::Failed(error),
        (Err(error), OnFailure::Ignore) => {
            error!(service = name, %error, "service failed; the host goes on without it");
            Outcome::Ended
        }
    }
}

/// One life of a service. To end before a stop was requested is a failure too.
async fn once(
    service: Box<dyn HostedService>,
    ready: Ready,
    stop: &Stop,
) -> Result<(), ServiceError> {
    match AssertUnwindSafe(service.run(ready, stop.clone()))
        .catch_unwind()
        .await
    {
        Ok(Ok(())) if stop.is_requested() => Ok(()),
        Ok(Ok(())) => Err("ended although nobody had asked it to".into()),
        Ok(Err(error)) => Err(error),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(format!(
                "panicked: {}",
                text.as_deref().unwrap_or("without a message")
            )
            .into())
        }
    }
}

async fn restarting(
    name: &str,
    policy: RestartPolicy,
    mut factory: Factory,
    ready: Ready,
    stop: &Stop,
) -> Result<(), ServiceError> {
    let mut failures = Failures::new(policy);
    let mut first_ready = Some(ready);
    loop {
        let (ready, is_ready) = Ready::channel();
        let forward = forward(is_ready, &mut first_ready);
        let ended = tokio::join!(once(factory(), ready, stop), forward).0;
        let Err(error) = ended else { return Ok(()) };
        if stop.is_requested() {
            return Err(error);
        }
        let Some(wait) = failures.count() else {
            return Err(format!(
                "failed more than {} times in {} s, last: {error}",
                policy.most,
                policy.within.as_secs()
            )
            .into());
        };
        warn!(service = name, %error, wait_ms = wait.as_millis(), "service failed; starting it again");
        tokio::select! {
            biased;
            () = stop.requested() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Passes the first "ready" of any life on to the host.
async fn forward(is_ready: oneshot::Receiver<()>, first_ready: &mut Option<Ready>) {
    if is_ready.await.is_ok()
        && let Some(ready) = first_ready.take()
    {
        ready.ready();
    }
}

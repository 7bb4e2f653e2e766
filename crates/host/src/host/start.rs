//! The start: one service after the other, each when the one before it is ready.

use std::pin::pin;

use futures_util::FutureExt;
use tracing::debug;

use super::{
    HostError, asked,
    builder::Entry,
    running::{Event, Running},
    stopped::Cause,
};
use crate::{
    service::{Ready, said},
    signal::Listener,
    stop::Stop,
};

/// Starts all services. A stop that comes meanwhile is the cause that is returned; nothing more is started then. Those
/// that were started are left running in each case.
pub(super) async fn start(
    running: &mut Running,
    entries: Vec<Entry>,
    signals: &mut Listener,
    stop: &Stop,
) -> Result<Option<Cause>, HostError> {
    for entry in entries {
        // Before each one, for those that are ready at once leave no time in which it would be seen.
        if let Some(cause) = asked(signals, stop).now_or_never() {
            return Ok(Some(cause));
        }
        let (name, limit) = (entry.name.clone(), entry.options.start_timeout);
        let (ready, mut is_ready) = Ready::channel();
        let new = running.spawn(entry, ready);
        let mut is_ready = pin!(said(&mut is_ready));
        let mut late = pin!(tokio::time::sleep(limit));
        loop {
            tokio::select! {
                biased;
                cause = asked(signals, stop) => return Ok(Some(cause)),
                () = &mut is_ready => {
                    debug!(service = name, "service started");
                    break;
                }
                event = running.next() => match event {
                    Event::Failed { place, error } if place == new => {
                        return Err(HostError::Start { service: name, source: error.into_cause() });
                    }
                    Event::Failed { place, error } => return Ok(Some(running.failed(place, &error))),
                    // One whose failures are ignored may end before it is ready: nobody waits for it.
                    Event::Ended { place } if place == new => break,
                    Event::Ended { .. } => {}
                },
                () = &mut late => {
                    running.force(new);
                    return Err(HostError::StartTimeout { service: name, after: limit });
                }
            }
        }
    }
    Ok(None)
}

//! The host: starts services in order, runs them, and stops them in reverse order within one budget.
//!
//! ```text
//! start:  a ready ─► b ready ─► c ready ─► started
//! stop:   c ends  ─► b ends  ─► a ends  ─► stopped
//! ```
//!
//! The first signal stops gracefully, a second one at once. A failure while starting stops what was started before; a stop
//! that comes while starting, or before, starts nothing more.
//! Services depend on those registered before them: those are there when a service starts and still there when it stops,
//! at a stop that is forced too.

mod builder;
mod running;
mod shut_down;
mod start;
mod stopped;
mod supervise;

use std::{fmt, time::Duration};

use builder::Entry;
pub use builder::{HostBuilder, ServiceOptions};
use running::{Event, Running};
use shut_down::shut_down;
use start::start;
pub use stopped::{Cause, Stopped};
use tracing::{info, warn};

use crate::{
    signal::{Listener, Signals},
    stop::Stop,
};

/// Why a host could not start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A service failed before it was ready.
    #[error("service `{service}` failed to start")]
    Start {
        /// Its name.
        service: String,
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A service was not ready in time.
    #[error("service `{service}` was not ready within {} s", after.as_secs_f32())]
    StartTimeout {
        /// Its name.
        service: String,
        /// The limit.
        after: Duration,
    },
    /// The process's signals cannot be listened to.
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
}

/// A set of services with one life.
pub struct Host {
    entries: Vec<Entry>,
    budget: Duration,
    signals: Signals,
    stop: Stop,
    on_started: Option<Box<dyn FnOnce() + Send>>,
}

impl Host {
    /// A host without services.
    #[must_use]
    pub fn builder() -> HostBuilder {
        HostBuilder::new()
    }

    /// Starts everything, runs until something ends it, and stops everything.
    ///
    /// Dropping the future aborts all services.
    ///
    /// # Errors
    /// [`HostError`] if a service did not start; those started before it have been stopped then.
    pub async fn run(self) -> Result<Stopped, HostError> {
        let Self {
            entries,
            budget,
            signals,
            stop,
            on_started,
        } = self;
        let mut signals = Listener::install(signals).map_err(HostError::Signals)?;
        let mut running = Running::new(&stop);
        let cause = match start(&mut running, entries, &mut signals, &stop).await {
            Ok(None) => {
                if let Some(on_started) = on_started {
                    on_started();
                }
                serve(&mut running, &mut signals, &stop).await
            }
            Ok(Some(cause)) => cause,
            Err(failed) => {
                // The caller tells why; this line tells what the time until then is spent on.
                warn!(
                    running = running.alive(),
                    "the start failed; stopping what was started"
                );
                shut_down(&mut running, budget, &mut signals, &stop).await;
                return Err(failed);
            }
        };
        info!(cause = %cause, "stopping");
        let ends = shut_down(&mut running, budget, &mut signals, &stop).await;
        Ok(Stopped {
            cause,
            aborted: ends.aborted,
            failed: ends.failed,
            forced: ends.forced,
        })
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.entries.iter().map(Entry::name).collect();
        f.debug_struct("Host")
            .field("services", &names)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// Waits for whatever ends the host.
async fn serve(running: &mut Running, signals: &mut Listener, stop: &Stop) -> Cause {
    loop {
        tokio::select! {
            biased;
            cause = asked(signals, stop) => return cause,
            event = running.next() => match event {
                Event::Failed { place, error } => return running.failed(place, &error),
                Event::Ended { .. } => {}
            },
        }
    }
}

/// Waits until a stop is asked for from outside of the services.
async fn asked(signals: &mut Listener, stop: &Stop) -> Cause {
    tokio::select! {
        biased;
        signal = signals.next() => Cause::Signal(signal),
        () = stop.requested() => Cause::Requested,
    }
}

//! The host: starts services in order, runs them, and stops them in reverse order within one budget.
//!
//! ```text
//! start:  a ready ─► b ready ─► c ready ─► started
//! stop:   c ends  ─► b ends  ─► a ends  ─► stopped
//! ```
//!
//! The first signal stops gracefully, a second one forces all services at once. A failure while starting stops what was
//! started before. Services depend on those registered before them: those are there when a service starts and still
//! there when it stops.

mod builder;
mod running;
mod supervise;

use std::{fmt, time::Duration};

use builder::Entry;
pub use builder::{HostBuilder, ServiceOptions};
use running::{Event, Running};
use tracing::{error, info, warn};

use crate::{
    budget::Budget,
    service::ServiceError,
    signal::{Listener, Signals},
    stop::Stop,
};

/// Why a host stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A signal, by name.
    Signal(&'static str),
    /// The host's own [`Stop`].
    Requested,
    /// A service failed.
    Failed {
        /// Its name.
        service: String,
        /// What happened.
        error: String,
    },
}

/// How a host stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// What made it stop.
    pub cause: Cause,
    /// Services that had to be aborted, in the order in which that happened.
    pub aborted: Vec<String>,
    /// Whether a second signal, or a forced stop, cut the stop short.
    pub forced: bool,
}

impl Stopped {
    /// 0 after a graceful stop; 1 if a service failed or had to be aborted, or a second signal came.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let graceful =
            !matches!(self.cause, Cause::Failed { .. }) && self.aborted.is_empty() && !self.forced;
        u8::from(!graceful)
    }
}

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
        let mut running = Running::new();
        let cause = match start(&mut running, entries, &mut signals, &stop).await {
            Ok(None) => {
                if let Some(on_started) = on_started {
                    on_started();
                }
                serve(&mut running, &mut signals, &stop).await
            }
            Ok(Some(cause)) => cause,
            Err(failed) => {
                error!(
                    error = &failed as &dyn std::error::Error,
                    "the host does not start"
                );
                shut_down(&mut running, budget, &mut signals, &stop).await;
                return Err(failed);
            }
        };
        info!(cause = %Shown(&cause), "stopping");
        let (aborted, forced) = shut_down(&mut running, budget, &mut signals, &stop).await;
        Ok(Stopped {
            cause,
            aborted,
            forced,
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

/// Starts one service after the other. A stop that comes meanwhile is the cause that is returned.
async fn start(
    running: &mut Running,
    entries: Vec<Entry>,
    signals: &mut Listener,
    stop: &Stop,
) -> Result<Option<Cause>, HostError> {
    for entry in entries {
        let (name, limit) = (entry.name().to_owned(), entry.options().start_timeout);
        let mut ready = running.spawn(entry);
        let late = tokio::time::sleep(limit);
        tokio::pin!(late);
        loop {
            tokio::select! {
                biased;
                Ok(()) = &mut ready => break,
                event = running.next() => match event {
                    Event::Failed { service, error } if service == name => {
                        return Err(HostError::Start { service, source: error.into_cause() });
                    }
                    Event::Failed { service, error } => return Ok(Some(failed(service, &error))),
                    // A service whose failures are ignored may end before it is ready: the next one is started then.
                    Event::Ended { service } if service == name => break,
                    Event::Ended { .. } => {}
                },
                () = &mut late => return Err(HostError::StartTimeout { service: name, after: limit }),
                signal = signals.next() => return Ok(Some(Cause::Signal(signal))),
                () = stop.requested() => return Ok(Some(Cause::Requested)),
            }
        }
    }
    Ok(None)
}

async fn serve(running: &mut Running, signals: &mut Listener, stop: &Stop) -> Cause {
    loop {
        tokio::select! {
            biased;
            signal = signals.next() => return Cause::Signal(signal),
            () = stop.requested() => return Cause::Requested,
            event = running.next() => match event {
                Event::Failed { service, error } => return failed(service, &error),
                Event::Ended { .. } => {}
            },
        }
    }
}

fn failed(service: String, error: &ServiceError) -> Cause {
    error!(
        service,
        error = error.cause() as &(dyn std::error::Error + 'static),
        "service failed; the host stops"
    );
    Cause::Failed {
        service,
        error: error.to_string(),
    }
}

/// Stops the services in reverse order. Returns those that had to be aborted, and whether the stop was forced.
async fn shut_down(
    running: &mut Running,
    budget: Duration,
    signals: &mut Listener,
    stop: &Stop,
) -> (Vec<String>, bool) {
    let budget = Budget::begin(budget, running.alive());
    let mut aborted = Vec::new();
    let mut forced = stop.is_forced();
    while let Some(last) = running.last() {
        if forced {
            running.force_all();
        }
        running.request(last);
        let share = budget.share(running.options(last).stop_share, running.alive() - 1);
        let end = tokio::select! {
            biased;
            () = running.ended(last) => End::Ended,
            signal = signals.next(), if !forced => {
                warn!(signal, "second signal: stopping at once");
                End::Forced
            }
            () = stop.forced(), if !forced => End::Forced,
            () = tokio::time::sleep(share), if !forced => End::Late(share),
            () = tokio::time::sleep(crate::budget::FORCED_GRACE), if forced => End::Hangs,
        };
        match end {
            End::Ended => {}
            End::Forced => forced = true,
            End::Late(share) => {
                let service = running.name(last).to_owned();
                warn!(
                    service,
                    share_ms = share.as_millis(),
                    "service is late at stop; forcing it"
                );
                if !running.force(last).await {
                    aborted.push(service);
                }
            }
            End::Hangs => {
                aborted.push(running.name(last).to_owned());
                running.abort(last).await;
            }
        }
    }
    (aborted, forced)
}

enum End {
    Ended,
    Forced,
    Late(Duration),
    Hangs,
}

struct Shown<'a>(&'a Cause);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Cause::Signal(name) => f.write_str(name),
            Cause::Requested => f.write_str("requested"),
            Cause::Failed { service, .. } => write!(f, "service `{service}` failed"),
        }
    }
}

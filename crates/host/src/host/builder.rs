//! What a host is made of.

use std::{fmt, time::Duration};

use crate::{
    budget::DEFAULT_BUDGET,
    host::Host,
    restart::{OnFailure, RestartPolicy},
    service::HostedService,
    signal::Signals,
    stop::Stop,
};

/// How one service is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceOptions {
    /// How long it may take to be ready, before the start is given up.
    pub start_timeout: Duration,
    /// Longest time that it may take to finish what it has in hand; all but what is kept for the others if absent.
    pub stop_share: Option<Duration>,
    /// What happens when it fails.
    pub on_failure: OnFailure,
}

impl Default for ServiceOptions {
    /// 30 s to start, no share of its own, and its failure stops the host.
    fn default() -> Self {
        Self {
            start_timeout: Duration::from_secs(30),
            stop_share: None,
            on_failure: OnFailure::StopHost,
        }
    }
}

pub(super) type Factory = Box<dyn FnMut() -> Box<dyn HostedService> + Send>;

pub(super) enum Kind {
    Once(Box<dyn HostedService>),
    Restarting {
        policy: RestartPolicy,
        factory: Factory,
    },
}

/// A service that is not running yet.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) options: ServiceOptions,
    pub(super) kind: Kind,
}

impl Entry {
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// Puts a host together. Services start in the order in which they are added.
pub struct HostBuilder {
    entries: Vec<Entry>,
    budget: Duration,
    signals: Signals,
    stop: Stop,
    on_started: Option<Box<dyn FnOnce() + Send>>,
}

impl HostBuilder {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
            budget: DEFAULT_BUDGET,
            signals: Signals::default(),
            stop: Stop::new(),
            on_started: None,
        }
    }

    /// Adds a service with the default options.
    #[must_use]
    pub fn service(self, service: impl HostedService) -> Self {
        self.service_with(ServiceOptions::default(), service)
    }

    /// Adds a service.
    #[must_use]
    pub fn service_with(mut self, options: ServiceOptions, service: impl HostedService) -> Self {
        let name = service.name().to_owned();
        self.entries.push(Entry {
            name,
            options,
            kind: Kind::Once(Box::new(service)),
        });
        self
    }

    /// Adds a service that is built again by `factory` when it fails, after a wait that grows. Too many failures stop the
    /// host.
    #[must_use]
    pub fn restarting(
        mut self,
        name: &str,
        policy: RestartPolicy,
        factory: impl FnMut() -> Box<dyn HostedService> + Send + 'static,
    ) -> Self {
        let kind = Kind::Restarting {
            policy,
            factory: Box::new(factory),
        };
        self.entries.push(Entry {
            name: name.to_owned(),
            options: ServiceOptions::default(),
            kind,
        });
        self
    }

    /// The time that the whole stop may take; 30 s by default.
    #[must_use]
    pub fn stop_budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Where signals come from; the process's own by default.
    #[must_use]
    pub fn signals(mut self, signals: Signals) -> Self {
        self.signals = signals;
        self
    }

    /// A signal by which the host can be stopped from inside the process.
    #[must_use]
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Called once, when every service is ready.
    #[must_use]
    pub fn on_started(mut self, on_started: impl FnOnce() + Send + 'static) -> Self {
        self.on_started = Some(Box::new(on_started));
        self
    }

    /// The host.
    #[must_use]
    pub fn build(self) -> Host {
        let Self {
            entries,
            budget,
            signals,
            stop,
            on_started,
        } = self;
        Host {
            entries,
            budget,
            signals,
            stop,
            on_started,
        }
    }
}

impl fmt::Debug for HostBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.entries.iter().map(Entry::name).collect();
        f.debug_struct("HostBuilder")
            .field("services", &names)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

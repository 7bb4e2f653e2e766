//! The services that run, in the order in which they were started. Their tasks belong to this set and end with it.

use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tracing::error;

use super::{
    builder::{Entry, ServiceOptions},
    stopped::Cause,
    supervise::{Orders, Outcome, panicked, supervise},
};
use crate::{
    service::{Ready, ServiceError},
    stop::Stop,
};

/// How long an aborted service may take to reach its next await. One that does not is left behind.
const ABORT_PATIENCE: Duration = Duration::from_millis(100);

/// A place in the order of start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(usize);

/// Something that happened to a service.
pub(super) enum Event {
    /// It ended, and the host goes on.
    Ended { place: Place },
    /// It failed, and the host stops.
    Failed { place: Place, error: ServiceError },
}

struct Service {
    name: String,
    options: ServiceOptions,
    stop: Stop,
    task: AbortHandle,
    ended: bool,
}

pub(super) struct Running {
    services: Vec<Service>,
    tasks: JoinSet<Outcome>,
    /// Given with the host's own stop, at the latest when the first service is told to stop.
    stopping: Stop,
    /// Names of those that failed while they were waited for.
    failed: Vec<String>,
}

impl Running {
    pub(super) fn new(stop: &Stop) -> Self {
        Self {
            services: Vec::new(),
            tasks: JoinSet::new(),
            stopping: stop.child(),
            failed: Vec::new(),
        }
    }

    /// Starts a service.
    pub(super) fn spawn(&mut self, entry: Entry, ready: Ready) -> Place {
        let stop = Stop::new();
        let (name, options) = (entry.name.clone(), entry.options);
        let orders = Orders {
            stop: stop.clone(),
            host: self.stopping.clone(),
        };
        let task = self.tasks.spawn(supervise(entry, ready, orders));
        self.services.push(Service {
            name,
            options,
            stop,
            task,
            ended: false,
        });
        Place(self.services.len() - 1)
    }

    /// The next end of a service; never returns while none is running.
    pub(super) async fn next(&mut self) -> Event {
        let Some(joined) = self.tasks.join_next_with_id().await else {
            return std::future::pending().await;
        };
        let (task, outcome) = match joined {
            Ok((task, outcome)) => (task, outcome),
            // Panics of a service are caught before; one that comes while it is dropped gets here.
            Err(error) => (
                error.id(),
                match error.try_into_panic() {
                    Ok(panic) => Outcome::Failed(panicked(&*panic)),
                    Err(_aborted) => Outcome::Ended,
                },
            ),
        };
        let of_task = |service: &Service| service.task.id() == task;
        let place = self.services.iter().position(of_task);
        let place = Place(place.expect("each task belongs to a service"));
        self.services[place.0].ended = true;
        match outcome {
            Outcome::Ended => Event::Ended { place },
            Outcome::Failed(error) => Event::Failed { place, error },
        }
    }

    /// A failure that makes the host stop.
    pub(super) fn failed(&self, place: Place, error: &ServiceError) -> Cause {
        let service = self.name(place);
        error!(
            service,
            error = error.cause(),
            "service failed; the host stops"
        );
        Cause::failed(service, error.cause())
    }

    /// From now on a service may end by itself: what it works for may have gone before it.
    pub(super) fn stopping(&self) {
        self.stopping.request();
    }

    /// How many have not ended.
    pub(super) fn alive(&self) -> usize {
        let alive = self.services.iter().filter(|service| !service.ended);
        alive.count()
    }

    /// The one started last of those that have not ended.
    pub(super) fn last(&self) -> Option<Place> {
        let last = self.services.iter().rposition(|service| !service.ended);
        last.map(Place)
    }

    pub(super) fn name(&self, place: Place) -> &str {
        &self.services[place.0].name
    }

    pub(super) fn options(&self, place: Place) -> ServiceOptions {
        self.services[place.0].options
    }

    pub(super) fn request(&self, place: Place) {
        self.services[place.0].stop.request();
    }

    pub(super) fn force(&self, place: Place) {
        self.services[place.0].stop.force();
    }

    pub(super) fn is_forced(&self, place: Place) -> bool {
        self.services[place.0].stop.is_forced()
    }

    /// Waits for the end of one service, for the host is stopping. Others that end meanwhile are noted; failures are
    /// logged and kept for [`Self::take_failed`].
    pub(super) async fn ended(&mut self, place: Place) {
        while !self.services[place.0].ended {
            if let Event::Failed { place, error } = self.next().await {
                let service = self.name(place).to_owned();
                error!(
                    service,
                    error = error.cause(),
                    "service failed while the host was stopping"
                );
                self.failed.push(service);
            }
        }
    }

    /// Ends a service that does not return. Code that blocks its thread cannot be ended: it is left behind.
    pub(super) async fn abort(&mut self, place: Place) {
        let service = &self.services[place.0];
        error!(service = service.name, "service did not stop; aborting it");
        service.task.abort();
        let ended = tokio::time::timeout(ABORT_PATIENCE, self.ended(place)).await;
        if ended.is_err() {
            let service = &mut self.services[place.0];
            error!(
                service = service.name,
                "service blocks its thread; leaving it behind"
            );
            service.ended = true;
        }
    }

    /// The names of those that failed while the host was stopping.
    pub(super) fn take_failed(&mut self) -> Vec<String> {
        std::mem::take(&mut self.failed)
    }
}

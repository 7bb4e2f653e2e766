//! The services that run, in the order in which they were started.

use tokio::{
    sync::oneshot,
    task::{Id, JoinSet},
};

use super::{
    builder::{Entry, ServiceOptions},
    supervise::{Outcome, supervise},
};
use crate::{
    budget::FORCED_GRACE,
    service::{Ready, ServiceError},
    stop::Stop,
};

/// Something that happened to a service.
pub(super) enum Event {
    /// It ended, and the host goes on.
    Ended { service: String },
    /// It failed, and the host stops.
    Failed {
        service: String,
        error: ServiceError,
    },
}

struct Service {
    name: String,
    options: ServiceOptions,
    stop: Stop,
    task: Id,
    abort: tokio::task::AbortHandle,
    ended: bool,
}

/// A place in the order of start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(usize);

pub(super) struct Running {
    services: Vec<Service>,
    tasks: JoinSet<Outcome>,
}

impl Running {
    pub(super) fn new() -> Self {
        Self {
            services: Vec::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Starts a service; what is returned tells when it is ready.
    pub(super) fn spawn(&mut self, entry: Entry) -> oneshot::Receiver<()> {
        let (ready, is_ready) = Ready::channel();
        let stop = Stop::new();
        let (name, options) = (entry.name.clone(), entry.options);
        let abort = self.tasks.spawn(supervise(entry, ready, stop.clone()));
        self.services.push(Service {
            name,
            options,
            stop,
            task: abort.id(),
            abort,
            ended: false,
        });
        is_ready
    }

    /// The next end of a service; never returns while none is running.
    pub(super) async fn next(&mut self) -> Event {
        let Some(joined) = self.tasks.join_next_with_id().await else {
            return std::future::pending().await;
        };
        let (task, outcome) = match joined {
            Ok((task, outcome)) => (task, outcome),
            // Panics of a service are caught inside: what remains is a task that was aborted.
            Err(error) => (error.id(), Outcome::Ended),
        };
        let service = self
            .services
            .iter_mut()
            .find(|service| service.task == task);
        let service = service.expect("each task belongs to a service");
        service.ended = true;
        let service = service.name.clone();
        match outcome {
            Outcome::Ended => Event::Ended { service },
            Outcome::Failed(error) => Event::Failed { service, error },
        }
    }

    /// How many have not ended.
    pub(super) fn alive(&self) -> usize {
        self.services
            .iter()
            .filter(|service| !service.ended)
            .count()
    }

    /// The one started last of those that have not ended.
    pub(super) fn last(&self) -> Option<Place> {
        self.services
            .iter()
            .rposition(|service| !service.ended)
            .map(Place)
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

    pub(super) fn force_all(&self) {
        self.services
            .iter()
            .for_each(|service| service.stop.force());
    }

    /// Waits for the end of one service. Others that end meanwhile are noted; their failures are logged, for the host is
    /// stopping already.
    pub(super) async fn ended(&mut self, place: Place) {
        while !self.services[place.0].ended {
            if let Event::Failed { service, error } = self.next().await {
                tracing::error!(service, %error, "service failed while stopping");
            }
        }
    }

    /// Tells a service to return at once. `false` if it had to be aborted.
    pub(super) async fn force(&mut self, place: Place) -> bool {
        self.services[place.0].stop.force();
        if tokio::time::timeout(FORCED_GRACE, self.ended(place))
            .await
            .is_ok()
        {
            return true;
        }
        self.abort(place).await;
        false
    }

    pub(super) async fn abort(&mut self, place: Place) {
        let service = &self.services[place.0];
        tracing::error!(service = service.name, "service did not stop; aborting it");
        service.abort.abort();
        self.ended(place).await;
    }
}

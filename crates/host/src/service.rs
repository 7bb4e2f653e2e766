//! What a host runs.

use std::fmt;

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::stop::Stop;

/// A part of the process that is started, runs until it is told to stop, and then ends by itself.
#[async_trait]
pub trait HostedService: Send + 'static {
    /// Its name in logs.
    fn name(&self) -> &str;

    /// Runs. `ready` is called once the service can do its work: the next one is started then. After `stop` is
    /// requested it finishes the item in hand and returns; after it is forced it returns at once.
    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<(), ServiceError>;
}

/// Says that a service has started.
#[derive(Debug)]
pub struct Ready(oneshot::Sender<()>);

impl Ready {
    /// A signal and its receiving end.
    #[must_use]
    pub fn channel() -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// The service can do its work now.
    pub fn ready(self) {
        // Nobody listens any more when the start was given up meanwhile.
        self.0.send(()).ok();
    }
}

/// Why a service ended before it was told to.
pub struct ServiceError(Box<dyn std::error::Error + Send + Sync>);

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for ServiceError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl ServiceError {
    /// What happened.
    #[must_use]
    pub fn cause(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl ServiceError {
    /// What happened, to be the source of another error.
    #[must_use]
    pub fn into_cause(self) -> Box<dyn std::error::Error + Send + Sync> {
        self.0
    }
}

impl fmt::Debug for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

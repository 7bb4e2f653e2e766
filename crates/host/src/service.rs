//! What a host runs: the trait, how a service says that it has started, and why it failed.

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
    /// requested it finishes the item in hand and returns; after it is forced it gives back what it holds and returns at
    /// once, for it is aborted at an await soon after.
    ///
    /// # Errors
    /// Whatever keeps it from its work. To return while nothing stops is a failure too, with or without an error; once the
    /// host stops others, a service whose work ends with theirs need not wait for its own turn.
    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<(), ServiceError>;
}

/// A service that is a function, where a type of its own would say no more.
///
/// ```
/// # use posthaste_host::{HostedService, service_fn};
/// let waiter = service_fn("waiter", |ready, stop| async move {
///     ready.ready();
///     stop.requested().await;
///     Ok(())
/// });
/// assert_eq!(waiter.name(), "waiter");
/// ```
pub fn service_fn<F, R>(name: &str, run: F) -> impl HostedService + use<F, R>
where
    F: FnOnce(Ready, Stop) -> R + Send + 'static,
    R: Future<Output = Result<(), ServiceError>> + Send + 'static,
{
    Function {
        name: name.to_owned(),
        run,
    }
}

struct Function<F> {
    name: String,
    run: F,
}

#[async_trait]
impl<F, R> HostedService for Function<F>
where
    F: FnOnce(Ready, Stop) -> R + Send + 'static,
    R: Future<Output = Result<(), ServiceError>> + Send + 'static,
{
    fn name(&self) -> &str {
        &self.name
    }

    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<(), ServiceError> {
        (self.run)(ready, stop).await
    }
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

/// Waits until a service has said that it is ready. One that lets its [`Ready`] go unsaid is never ready: its end, or the
/// time that it has, decides then.
pub(crate) async fn said(is_ready: &mut oneshot::Receiver<()>) {
    if is_ready.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Why a service failed: any error, or a text.
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

//! A generic host: services with one life. They are started in order, each when the one before it is ready, and stopped
//! in reverse order within one budget; a signal, a failure or the application ends them all.
//!
//! It knows nothing of jobs, mail or databases. `examples/ticker.rs` is a whole program:
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! use posthaste_host::{Host, HostedService, Ready, ServiceError, Signals, Stop};
//!
//! struct Greeter;
//!
//! #[async_trait::async_trait]
//! impl HostedService for Greeter {
//!     fn name(&self) -> &str {
//!         "greeter"
//!     }
//!
//!     async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<(), ServiceError> {
//!         ready.ready();
//!         stop.requested().await;
//!         Ok(())
//!     }
//! }
//!
//! let stop = Stop::new();
//! let host = Host::builder().service(Greeter).signals(Signals::None).stop(stop.clone());
//! let host = host.on_started(move || stop.request()).build();
//! assert_eq!(host.run().await.unwrap().exit_code(), 0);
//! # });
//! ```

pub mod budget;
pub mod host;
pub mod restart;
pub mod service;
pub mod signal;
pub mod stop;

pub use crate::{
    host::{Cause, Host, HostBuilder, HostError, ServiceOptions, Stopped},
    restart::{OnFailure, RestartPolicy},
    service::{HostedService, Ready, ServiceError, service_fn},
    signal::{ProcessSignals, Signals},
    stop::Stop,
};

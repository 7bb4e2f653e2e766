//! The composition root: settings become services, each job gets a scope of its own, and the handlers of jobs stand here,
//! where delivery and queue meet. Nothing else names concrete backends or reads settings.

pub mod bench;
pub mod compose;
pub mod dkim;
pub mod jobs;
pub mod memory_streams;
pub mod outbox;
pub mod password;
pub mod readiness;
pub mod scope;
pub mod scopes;
pub mod secret_key;
pub mod settings;
pub mod telemetry;

pub use posthaste_store::{Migrate, OpenError};

pub use crate::{
    compose::{ComposeError, Composed, OpenKeys, compose, migrate},
    outbox::{Outbox, OutboxError},
    readiness::{Check, Readiness, Weight},
    settings::Settings,
};

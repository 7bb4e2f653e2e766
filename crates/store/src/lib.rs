//! Posthaste's stores on a database: messages, deliveries, accounts, template versions and the durable queue, over
//! SeaORM.
//!
//! Writing goes through one task with one connection, which commits whatever waits in one synced transaction
//! (`writer`). Reading goes through a pool that cannot write. The SQLite file belongs to one process at a time, which
//! a lock file enforces; so whoever opens it knows that every lease in it is of a dead process, and takes it back.
//!
//! What holds is stated on the ports in `posthaste_domain::stores` and on `posthaste_queue::Queue`. Only this crate
//! names SeaORM. What differs between databases stands in one file for each of them (`queue::sqlite`).

mod accept;
mod attachments;
mod beat;
mod condition;
mod connect;
mod convert;
mod decisions;
mod doubt;
mod enqueue;
mod entity;
mod hints;
mod history;
mod housekeeping;
mod keys;
mod list;
mod lock;
mod mail_requests;
mod messages;
mod operate;
mod outgoing;
mod password;
mod queue;
mod rates;
mod rows;
mod scratch;
mod seal;
mod sessions;
mod settle;
mod sql;
mod sweep;
mod templates;
mod users;
mod writer;

pub use connect::{DatabasePlace, Migrate, OpenError, Opened, Store, StoreConfig};
pub use enqueue::{EnqueueError, Enqueued};
pub use queue::SendEmail;
pub use scratch::{Scratch, ScratchError};
/// What transactions of the caller's own are made of; its version is this crate's.
pub use sea_orm;
pub use seal::{InvalidSealingKey, SealingKey};

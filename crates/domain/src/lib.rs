//! The vocabulary of Posthaste and its invariants: addresses, messages, deliveries and their state machine, streams,
//! retry policy, accounts, tokens, ids, time; the ports of the stores; and the two use cases that need nothing else,
//! the [mail desk](desk::MailDesk) and [accounts](account::Accounts).
//!
//! No asynchronous runtime and no I/O: what must wait or be stored stands here as a trait, and whoever implements it
//! depends on this crate, never the reverse. No queue type is named: accepting a message implies its job.

pub mod account;
pub mod address;
pub mod buffer;
pub mod clock;
pub mod delivery;
pub mod desk;
pub mod id;
pub mod idempotency;
pub mod key;
pub mod message;
pub mod owner;
pub mod password;
pub mod raw;
pub mod retry_policy;
pub mod stores;
pub mod stream;
pub mod template;
pub mod throttle;
pub mod token;
pub mod user;

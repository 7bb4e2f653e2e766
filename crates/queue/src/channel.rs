//! The bounded channel inside the process: never unbounded, with a stated answer to "what if it is full".
//!
//! Any number of producers and readers. Values leave in the order in which they entered. Every method may be dropped at
//! any await: a value is then either in the channel or still the caller's to drop, and a place in the channel is never
//! lost. A place that becomes free belongs to the producer that waits longest, before anybody else can take it.
//!
//! Inside are two halves, one for each side, that meet once for many values (`shared`); the state behind each lock knows
//! no task and no await (`intake`, `outlet`, `wait`).
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # runtime.block_on(async {
//! use posthaste_queue::channel::{self, FullMode};
//!
//! let (sender, receiver) = channel::bounded::<u32>(2, FullMode::DropOldest);
//! for value in 1..=3 {
//!     sender.send(value).await.unwrap();
//! }
//! assert_eq!(receiver.recv().await, Some(2));
//! assert_eq!(receiver.stats().dropped, 1);
//! # });
//! ```

mod budget;
mod intake;
mod outcome;
mod outlet;
mod receiver;
mod sender;
mod shared;
mod wait;

use std::sync::Arc;

use self::shared::Shared;
pub use self::{
    outcome::{Closed, FullMode, Sent, Stats, TrySendError},
    receiver::Receiver,
    sender::Sender,
};

/// The usual capacity.
pub const DEFAULT_CAPACITY: usize = 500;

/// A channel for at most `capacity` values (at least one).
#[must_use]
pub fn bounded<T>(capacity: usize, mode: FullMode) -> (Sender<T>, Receiver<T>) {
    bounded_with(capacity, mode, |_| {})
}

/// The same, with `on_dropped` called for each value that is dropped because the channel is full. The hook runs in the
/// producer's task, outside the channel's locks.
#[must_use]
pub fn bounded_with<T>(
    capacity: usize,
    mode: FullMode,
    on_dropped: impl Fn(T) + Send + Sync + 'static,
) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared::new(capacity.max(1), mode, Box::new(on_dropped)));
    (Sender::new(Arc::clone(&shared)), Receiver::new(shared))
}

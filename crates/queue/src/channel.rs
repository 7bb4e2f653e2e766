//! The bounded channel inside the process: never unbounded, with a stated answer to "what if it is full".
//!
//! Any number of producers and readers. Values leave in the order in which they entered. Every method may be dropped at
//! any await: a value is then either in the channel or still the caller's to drop, and a place in the channel is never
//! lost.
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

mod outcome;
mod receiver;
mod sender;
mod state;
mod wait;

use std::sync::{Arc, PoisonError};

pub use self::{
    outcome::{Closed, FullMode, Sent, Stats, TrySendError},
    receiver::Receiver,
    sender::Sender,
};
use self::{
    state::{Offered, State},
    wait::Called,
};
use crate::sync::{Mutex, MutexGuard};

/// The usual capacity.
pub const DEFAULT_CAPACITY: usize = 500;

/// A channel for at most `capacity` values (at least one).
#[must_use]
pub fn bounded<T>(capacity: usize, mode: FullMode) -> (Sender<T>, Receiver<T>) {
    bounded_with(capacity, mode, |_| {})
}

/// The same, with `on_dropped` called for each value that is dropped because the channel is full. The hook runs in the
/// producer's task, outside the channel's lock.
#[must_use]
pub fn bounded_with<T>(
    capacity: usize,
    mode: FullMode,
    on_dropped: impl Fn(T) + Send + Sync + 'static,
) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State::new(capacity.max(1), DEFAULT_CAPACITY, mode)),
        on_dropped: Box::new(on_dropped),
    });
    (
        Sender {
            shared: Arc::clone(&shared),
        },
        Receiver { shared },
    )
}

/// One lock and no atomics: nothing here depends on memory orderings, and every step is whole or has not begun.
struct Shared<T> {
    state: Mutex<State<T>>,
    on_dropped: Box<dyn Fn(T) + Send + Sync>,
}

impl<T> Shared<T> {
    /// Nothing that is not ours runs under the lock (no hook, no waking, no drop of a value or waker), so it is never
    /// held for long and never taken twice.
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the hook what was dropped; a value that found the channel full comes back.
    fn conclude(&self, offered: Offered<T>) -> Result<Sent, T> {
        match offered {
            Offered::Stored => Ok(Sent::Stored),
            Offered::Displaced(value) => {
                (self.on_dropped)(value);
                Ok(Sent::Displaced)
            }
            Offered::Dropped(value) => {
                (self.on_dropped)(value);
                Ok(Sent::Dropped)
            }
            Offered::Full(value) => Err(value),
        }
    }

    fn close(&self) {
        let mut called = Called::default();
        self.state().close(&mut called);
        called.wake();
    }
}

#[cfg(test)]
mod tests;

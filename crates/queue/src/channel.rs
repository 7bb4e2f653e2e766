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

use std::{
    collections::VecDeque,
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use posthaste_host::Stop;
use tokio::sync::{Notify, Semaphore, TryAcquireError};

pub use self::outcome::{Closed, FullMode, Sent, Stats, TrySendError};

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
    let capacity = capacity.max(1);
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            values: VecDeque::with_capacity(capacity.min(DEFAULT_CAPACITY)),
            closed: false,
        }),
        places: Semaphore::new(capacity),
        arrived: Notify::new(),
        capacity,
        mode,
        on_dropped: Box::new(on_dropped),
        senders: AtomicUsize::new(1),
        receivers: AtomicUsize::new(1),
        sent: AtomicU64::new(0),
        received: AtomicU64::new(0),
        dropped: AtomicU64::new(0),
    });
    (
        Sender {
            shared: Arc::clone(&shared),
        },
        Receiver { shared },
    )
}

/// Free places are permits of `places`: permits + values inside + places that a producer was just given = capacity.
struct Shared<T> {
    state: Mutex<State<T>>,
    places: Semaphore,
    arrived: Notify,
    capacity: usize,
    mode: FullMode,
    on_dropped: Box<dyn Fn(T) + Send + Sync>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    sent: AtomicU64,
    received: AtomicU64,
    dropped: AtomicU64,
}

struct State<T> {
    values: VecDeque<T>,
    closed: bool,
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `value` into a place that was taken from `places` before.
    fn enter(&self, value: T) -> Result<(), Closed<T>> {
        let mut state = self.state();
        if state.closed {
            drop(state);
            self.places.add_permits(1);
            return Err(Closed(value));
        }
        state.values.push_back(value);
        drop(state);
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.arrived.notify_one();
        Ok(())
    }

    /// Puts `value` into a full channel at the cost of another value, or drops it.
    fn displace(&self, value: T) -> Result<Sent, TrySendError<T>> {
        let mut state = self.state();
        if state.closed {
            return Err(TrySendError::Closed(value));
        }
        // A reader may have left a place since the caller looked: then nothing needs to be dropped.
        if let Ok(place) = self.places.try_acquire() {
            place.forget();
            drop(state);
            return self
                .enter(value)
                .map(|()| Sent::Stored)
                .map_err(|Closed(value)| TrySendError::Closed(value));
        }
        let displaced = match self.mode {
            FullMode::Wait => return Err(TrySendError::Full(value)),
            FullMode::DropWrite => None,
            FullMode::DropNewest => state.values.pop_back(),
            FullMode::DropOldest => state.values.pop_front(),
        };
        let Some(displaced) = displaced else {
            // `DropWrite`; or all places belong to producers that are just entering, so nothing inside can make room.
            drop(state);
            self.drop_value(value);
            return Ok(Sent::Dropped);
        };
        state.values.push_back(value);
        drop(state);
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.arrived.notify_one();
        self.drop_value(displaced);
        Ok(Sent::Displaced)
    }

    fn drop_value(&self, value: T) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        (self.on_dropped)(value);
    }

    fn take(&self) -> Taken<T> {
        let mut state = self.state();
        match state.values.pop_front() {
            Some(value) => {
                // Under the lock: whoever finds no place under it also finds the channel full.
                self.places.add_permits(1);
                drop(state);
                self.received.fetch_add(1, Ordering::Relaxed);
                Taken::Value(value)
            }
            None if state.closed => Taken::End,
            None => Taken::Nothing,
        }
    }

    fn close(&self) {
        self.state().closed = true;
        self.places.close();
        self.arrived.notify_waiters();
    }

    fn stats(&self) -> Stats {
        Stats {
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            depth: self.state().values.len(),
            capacity: self.capacity,
        }
    }
}

enum Taken<T> {
    Value(T),
    Nothing,
    End,
}

/// The producers' end; the channel closes when the last one is dropped.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends by the channel's full mode; waits only in mode [`FullMode::Wait`].
    ///
    /// # Errors
    /// [`Closed`] with the value.
    pub async fn send(&self, value: T) -> Result<Sent, Closed<T>> {
        if self.shared.mode != FullMode::Wait {
            return self.try_send(value).map_err(|error| match error {
                TrySendError::Full(value) | TrySendError::Closed(value) => Closed(value),
            });
        }
        match self.shared.places.acquire().await {
            Ok(place) => place.forget(),
            Err(_closed) => return Err(Closed(value)),
        }
        self.shared.enter(value).map(|()| Sent::Stored)
    }

    /// Sends without waiting.
    ///
    /// # Errors
    /// [`TrySendError::Full`] in mode [`FullMode::Wait`] only; [`TrySendError::Closed`].
    pub fn try_send(&self, value: T) -> Result<Sent, TrySendError<T>> {
        match self.shared.places.try_acquire() {
            Ok(place) => place.forget(),
            Err(TryAcquireError::NoPermits) => return self.shared.displace(value),
            Err(TryAcquireError::Closed) => return Err(TrySendError::Closed(value)),
        }
        self.shared
            .enter(value)
            .map(|()| Sent::Stored)
            .map_err(|Closed(value)| TrySendError::Closed(value))
    }

    /// Lets nothing more in; what is inside can still be read.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Counters and depth.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.close();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.shared.stats()).finish()
    }
}

/// The readers' end; the channel closes when the last one is dropped.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// The next value; `None` once the channel is closed and empty.
    pub async fn recv(&self) -> Option<T> {
        loop {
            // Listening begins before looking, so that each value that enters in between wakes a reader of its own.
            let mut arrived = pin!(self.shared.arrived.notified());
            arrived.as_mut().enable();
            match self.shared.take() {
                Taken::Value(value) => return Some(value),
                Taken::End => return None,
                Taken::Nothing => arrived.await,
            }
        }
    }

    /// The next value; `None` as soon as a stop is requested, even if values are inside (see [`Receiver::try_recv`]), or
    /// once the channel is closed and empty.
    pub async fn recv_until(&self, stop: &Stop) -> Option<T> {
        tokio::select! {
            biased;
            () = stop.requested() => None,
            value = self.recv() => value,
        }
    }

    /// A value that is inside now.
    #[must_use]
    pub fn try_recv(&self) -> Option<T> {
        match self.shared.take() {
            Taken::Value(value) => Some(value),
            Taken::Nothing | Taken::End => None,
        }
    }

    /// Lets nothing more in; what is inside can still be read.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Counters and depth.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.receivers.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if self.shared.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.close();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver")
            .field(&self.shared.stats())
            .finish()
    }
}

#[cfg(test)]
mod tests;

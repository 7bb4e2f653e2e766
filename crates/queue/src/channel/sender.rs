//! The producers' end.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::task::coop::cooperative;

use super::{
    Shared,
    outcome::{Closed, Sent, Stats, TrySendError},
    state::Offered,
    wait::{Called, Ticket},
};

/// The producers' end; the channel closes when the last one is dropped.
pub struct Sender<T> {
    pub(super) shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends by the channel's full mode; waits only in mode [`FullMode::Wait`](super::FullMode::Wait).
    ///
    /// Dropped before its end, it has sent nothing: the value is dropped with it, and a place that it was given goes to
    /// the next producer in line. It takes part in tokio's cooperative budget in every mode, so a producer that never
    /// has to wait lets other tasks run too.
    ///
    /// # Errors
    /// [`Closed`] with the value.
    pub async fn send(&self, value: T) -> Result<Sent, Closed<T>> {
        cooperative(Sending {
            shared: &self.shared,
            value: Some(value),
            ticket: None,
        })
        .await
    }

    /// Sends without waiting, and without a place that was promised to a producer who waits.
    ///
    /// # Errors
    /// [`TrySendError::Full`] in mode [`FullMode::Wait`](super::FullMode::Wait) only; [`TrySendError::Closed`].
    pub fn try_send(&self, value: T) -> Result<Sent, TrySendError<T>> {
        let mut called = Called::default();
        let mut state = self.shared.state();
        if state.closed {
            return Err(TrySendError::Closed(value));
        }
        let offered = state.offer(value, &mut called);
        drop(state);
        called.wake();
        self.shared.conclude(offered).map_err(TrySendError::Full)
    }

    /// Lets nothing more in; what is inside can still be read.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Counters and depth.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.state().stats()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.state().senders += 1;
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut called = Called::default();
        let mut state = self.shared.state();
        state.senders -= 1;
        if state.senders == 0 {
            state.close(&mut called);
        }
        drop(state);
        called.wake();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.stats()).finish()
    }
}

/// A value on its way in.
struct Sending<'a, T> {
    shared: &'a Shared<T>,
    /// `None` once it is over.
    value: Option<T>,
    /// The place in line; called means that a place in the channel is promised.
    ticket: Option<Ticket>,
}

/// The value is moved and never pinned.
impl<T> Unpin for Sending<'_, T> {}

impl<T> Future for Sending<'_, T> {
    type Output = Result<Sent, Closed<T>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let value = this.value.take().expect("nobody polls after the end");
        let mut called = Called::default();
        let mut state = this.shared.state();
        if state.closed {
            this.ticket = None;
            return Poll::Ready(Err(Closed(value)));
        }
        if let Some(ticket) = this.ticket {
            if !state.producers.was_called(ticket) {
                this.value = Some(value);
                let replaced = state.producers.stay(ticket, context.waker());
                drop(state);
                drop(replaced);
                return Poll::Pending;
            }
            this.ticket = None;
            state.enter_promised(value, &mut called);
            drop(state);
            called.wake();
            return Poll::Ready(Ok(Sent::Stored));
        }
        let offered = match state.offer(value, &mut called) {
            Offered::Full(value) => {
                this.value = Some(value);
                this.ticket = Some(state.producers.join(context.waker()));
                return Poll::Pending;
            }
            offered => offered,
        };
        drop(state);
        called.wake();
        Poll::Ready(this.shared.conclude(offered).map_err(Closed))
    }
}

impl<T> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut called = Called::default();
        let mut state = self.shared.state();
        let waker = state.producers.leave(ticket);
        if waker.is_none() {
            state.break_promise(&mut called);
        }
        drop(state);
        drop(waker);
        called.wake();
    }
}

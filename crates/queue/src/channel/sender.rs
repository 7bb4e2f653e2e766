//! The producers' end.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{
    budget::Budget,
    outcome::{Closed, Sent, Stats, TrySendError},
    shared::Shared,
    wait::{Called, Ticket},
};

/// The producers' end; the channel closes when the last one is dropped.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
    budget: Budget,
}

impl<T> Sender<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self {
            shared,
            budget: Budget::default(),
        }
    }

    /// Sends by the channel's full mode; waits only in mode [`FullMode::Wait`](super::FullMode::Wait).
    ///
    /// Dropped before its end, it has sent nothing: the value is dropped with it, and a place that it was given goes to
    /// the next producer in line. It takes part in tokio's cooperative budget in every mode, so a producer that never
    /// has to wait lets other tasks run too.
    ///
    /// # Errors
    /// [`Closed`] with the value.
    pub async fn send(&self, value: T) -> Result<Sent, Closed<T>> {
        self.budget
            .spend(Sending {
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
        self.shared.offer(value)
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
        self.shared.intake().senders += 1;
        Self::new(Arc::clone(&self.shared))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut intake = self.shared.intake();
        intake.senders -= 1;
        let was_last = intake.senders == 0;
        drop(intake);
        if was_last {
            self.shared.close();
        }
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
        let Some(ticket) = this.ticket else {
            return match this.shared.offer(value) {
                Ok(sent) => Poll::Ready(Ok(sent)),
                Err(TrySendError::Closed(value)) => Poll::Ready(Err(Closed(value))),
                Err(TrySendError::Full(value)) => this.wait(value, context.waker()),
            };
        };
        let mut called = Called::default();
        let mut intake = this.shared.intake();
        if intake.closed {
            this.ticket = None;
            return Poll::Ready(Err(Closed(value)));
        }
        if let Err(replaced) = intake.is_promised(ticket, context.waker()) {
            this.value = Some(value);
            drop(intake);
            drop(replaced);
            return Poll::Pending;
        }
        this.ticket = None;
        intake.enter_promised(value, &mut called);
        drop(intake);
        called.wake();
        Poll::Ready(Ok(Sent::Stored))
    }
}

impl<T> Sending<'_, T> {
    /// Gets in line, unless the channel has closed or has a place after all.
    fn wait(&mut self, value: T, waker: &Waker) -> Poll<Result<Sent, Closed<T>>> {
        let mut called = Called::default();
        let mut intake = self.shared.intake();
        if intake.closed {
            return Poll::Ready(Err(Closed(value)));
        }
        let poll = if intake.has_place(&self.shared.signal, &mut called) {
            intake.enter(value, &mut called);
            Poll::Ready(Ok(Sent::Stored))
        } else {
            self.value = Some(value);
            self.ticket = Some(intake.join(waker, &self.shared.signal, &mut called));
            Poll::Pending
        };
        drop(intake);
        called.wake();
        poll
    }
}

impl<T> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut called = Called::default();
        let mut intake = self.shared.intake();
        let waker = intake.leave(ticket, &self.shared.signal, &mut called);
        drop(intake);
        drop(waker);
        called.wake();
    }
}

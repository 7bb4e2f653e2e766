//! The readers' end.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use posthaste_host::Stop;
use tokio::task::coop::cooperative;

use super::{
    budget::Budget,
    outcome::Stats,
    outlet::Outlet,
    shared::Shared,
    wait::{Called, Ticket},
};

/// The readers' end; the channel closes when the last one is dropped, and what is inside is dropped with it.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    budget: Budget,
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self {
            shared,
            budget: Budget::default(),
        }
    }

    /// The next value; `None` once the channel is closed and empty.
    ///
    /// Dropped before its end, it has taken nothing, and a value that it was woken for wakes the next reader.
    pub async fn recv(&self) -> Option<T> {
        let shared = &*self.shared;
        let take = |outlet: &mut Outlet<T>| outlet.take(&shared.signal);
        self.budget.spend(self.receive(take)).await
    }

    /// Waits for a value and appends it to `buffer` with all that follow it inside, at most `limit` in all. Says how many:
    /// 0 once the channel is closed and empty, or at once for a `limit` of 0.
    ///
    /// One look at the channel serves the whole batch. Dropped before its end, it has taken nothing.
    pub async fn recv_many(&self, buffer: &mut Vec<T>, limit: usize) -> usize {
        if limit == 0 {
            return 0;
        }
        let shared = &*self.shared;
        let take = |outlet: &mut Outlet<T>| {
            let mut count = outlet.take_many(limit, buffer, &shared.signal);
            if count < limit && shared.refill(outlet).is_ok() {
                count += outlet.take_many(limit - count, buffer, &shared.signal);
            }
            Some(count)
        };
        // A unit for each batch, as tokio's own costs.
        cooperative(self.receive(take)).await.unwrap_or(0)
    }

    /// The next value; `None` as soon as a stop is requested, even if values are inside (see [`Receiver::try_recv`]), or
    /// once the channel is closed and empty.
    pub async fn recv_until(&self, stop: &Stop) -> Option<T> {
        let (mut value, mut requested) = (pin!(self.recv()), pin!(stop.requested()));
        poll_fn(|context| {
            // Asked each time, so that a value does not come before the stop; waited for only where no value is inside,
            // which spares a busy reader the cost of listening.
            if stop.is_requested() {
                return Poll::Ready(None);
            }
            match value.as_mut().poll(context) {
                Poll::Ready(value) => Poll::Ready(value),
                Poll::Pending => requested.as_mut().poll(context).map(|()| None),
            }
        })
        .await
    }

    /// A value that is inside now.
    #[must_use]
    pub fn try_recv(&self) -> Option<T> {
        let mut outlet = self.shared.outlet();
        self.shared.refill(&mut outlet).ok()?;
        let value = outlet.take(&self.shared.signal);
        drop(outlet);
        self.shared.serve();
        value
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

    fn receive<F>(&self, take: F) -> Receiving<'_, T, F> {
        Receiving {
            shared: &self.shared,
            take,
            ticket: None,
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.intake().receivers += 1;
        Self::new(Arc::clone(&self.shared))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut intake = self.shared.intake();
        intake.receivers -= 1;
        let was_last = intake.receivers == 0;
        drop(intake);
        if was_last {
            self.shared.abandon();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&self.stats()).finish()
    }
}

/// A reader that waits for what `take` finds.
struct Receiving<'a, T, F> {
    shared: &'a Shared<T>,
    take: F,
    /// The place in line; called means that a value came, which another reader may have taken meanwhile.
    ticket: Option<Ticket>,
}

impl<T, R, F> Future for Receiving<'_, T, F>
where
    F: FnMut(&mut Outlet<T>) -> Option<R> + Unpin,
{
    type Output = Option<R>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut outlet = this.shared.outlet();
        if let Err(mut intake) = this.shared.refill(&mut outlet) {
            if intake.closed {
                this.ticket = None;
                return Poll::Ready(None);
            }
            let mut replaced = None;
            match this.ticket {
                Some(ticket) => replaced = intake.readers.stay(ticket, context.waker()),
                None => this.ticket = Some(intake.readers.join(context.waker())),
            }
            drop(intake);
            drop(outlet);
            drop(replaced);
            return Poll::Pending;
        }
        let taken = (this.take)(&mut outlet);
        drop(outlet);
        if let Some(ticket) = this.ticket.take() {
            let waker = this.shared.intake().readers.leave(ticket);
            drop(waker);
        }
        this.shared.serve();
        Poll::Ready(taken)
    }
}

impl<T, F> Drop for Receiving<'_, T, F> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut called = Called::default();
        let outlet = self.shared.outlet();
        let mut intake = self.shared.intake();
        let waker = intake.readers.leave(ticket);
        if waker.is_none() && !(outlet.values.is_empty() && intake.values.is_empty()) {
            // It was called for a value that is still there: another reader takes it.
            intake.call_reader(&mut called);
        }
        drop(intake);
        drop(outlet);
        drop(waker);
        called.wake();
    }
}

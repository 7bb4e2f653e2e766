//! The producers' half: where values enter, and the lines of all who wait.

use std::{collections::VecDeque, task::Waker};

use super::{
    outcome::FullMode,
    outlet::Signal,
    wait::{Called, Line, Ticket},
};

/// What the producers' lock guards. Whenever it is free:
///
/// - values in both halves + promised places <= capacity;
/// - if a producer waits, `Signal::wanted` is set, so that a reader who frees a place comes and calls it;
/// - a reader waits only while each value inside belongs to a reader that was called for it.
pub(super) struct Intake<T> {
    /// Behind those of the outlet.
    pub(super) values: VecDeque<T>,
    pub(super) capacity: usize,
    pub(super) mode: FullMode,
    /// Values that entered for good, without those displaced: less those taken, they are inside.
    entered: u64,
    /// Values that readers have taken, when it was last looked: at most too few, so a place that is seen free is.
    taken: u64,
    /// Places of producers that were called and have not come yet.
    promised: usize,
    producers: Line,
    pub(super) readers: Line,
    pub(super) closed: bool,
    pub(super) senders: usize,
    pub(super) receivers: usize,
    pub(super) sent: u64,
    pub(super) dropped: u64,
    /// What `Signal::wanted` says.
    wanted: bool,
}

impl<T> Intake<T> {
    pub(super) fn new(capacity: usize, reserve: usize, mode: FullMode) -> Self {
        Self {
            values: VecDeque::with_capacity(capacity.min(reserve)),
            capacity,
            mode,
            entered: 0,
            taken: 0,
            promised: 0,
            producers: Line::default(),
            readers: Line::default(),
            closed: false,
            senders: 1,
            receivers: 1,
            sent: 0,
            dropped: 0,
            wanted: false,
        }
    }

    /// Whether a place is free that belongs to nobody in line.
    pub(super) fn has_place(&mut self, signal: &Signal, called: &mut Called) -> bool {
        if !self.producers.is_empty() {
            // A reader may have freed places and not come yet: they go to the line first.
            self.serve(signal, called);
        }
        self.producers.is_empty() && self.is_free(signal)
    }

    fn is_free(&mut self, signal: &Signal) -> bool {
        // The readers' count is looked at only if it matters: it lies in their part of the memory.
        if !self.fits() {
            self.taken = signal.taken();
        }
        self.fits()
    }

    fn fits(&self) -> bool {
        self.entered - self.taken + (self.promised as u64) < self.capacity as u64
    }

    /// Puts `value` into a free place.
    pub(super) fn enter(&mut self, value: T, called: &mut Called) {
        self.values.push_back(value);
        self.entered += 1;
        self.sent += 1;
        self.call_reader(called);
    }

    /// Puts `value` in for one that was displaced: nobody is called, as many are inside as before.
    pub(super) fn replace(&mut self, value: T) {
        self.values.push_back(value);
        self.sent += 1;
        self.dropped += 1;
    }

    /// Puts a producer at the end of the line.
    pub(super) fn join(&mut self, waker: &Waker, signal: &Signal, called: &mut Called) -> Ticket {
        let ticket = self.producers.join(waker);
        self.want(signal);
        // A reader that did not see the wish yet has freed its place before: one more look finds it.
        self.serve(signal, called);
        ticket
    }

    /// Whether the place of `ticket` is promised; if not, it waits on. The waker is to be dropped without the lock.
    pub(super) fn is_promised(
        &mut self,
        ticket: Ticket,
        waker: &Waker,
    ) -> Result<(), Option<Waker>> {
        if self.producers.was_called(ticket) {
            Ok(())
        } else {
            Err(self.producers.stay(ticket, waker))
        }
    }

    /// Puts `value` into the place that was promised to its producer.
    pub(super) fn enter_promised(&mut self, value: T, called: &mut Called) {
        self.promised -= 1;
        self.enter(value, called);
    }

    /// A producer goes away; a place that was promised to it is promised to the next. The waker is to be dropped without
    /// the lock.
    pub(super) fn leave(
        &mut self,
        ticket: Ticket,
        signal: &Signal,
        called: &mut Called,
    ) -> Option<Waker> {
        let waker = self.producers.leave(ticket);
        if waker.is_none() && !self.closed {
            self.promised -= 1;
        }
        self.serve(signal, called);
        waker
    }

    /// Promises free places to producers in the order in which they came.
    pub(super) fn serve(&mut self, signal: &Signal, called: &mut Called) {
        while !self.producers.is_empty() && self.is_free(signal) {
            if let Some(producer) = self.producers.call() {
                self.promised += 1;
                called.push(producer);
            }
        }
        self.want(signal);
    }

    fn want(&mut self, signal: &Signal) {
        let wanted = !self.producers.is_empty();
        if self.wanted != wanted {
            self.wanted = wanted;
            signal.want(wanted);
        }
    }

    pub(super) fn call_reader(&mut self, called: &mut Called) {
        if let Some(reader) = self.readers.call() {
            called.push(reader);
        }
    }

    /// Lets nothing more in and calls everybody: nobody has anything to wait for.
    pub(super) fn close(&mut self, signal: &Signal, called: &mut Called) {
        self.closed = true;
        self.promised = 0;
        while let Some(waker) = self.producers.call().or_else(|| self.readers.call()) {
            called.push(waker);
        }
        self.want(signal);
    }
}

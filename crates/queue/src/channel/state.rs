//! What the channel's lock guards: a plain state that knows no lock, no task and no await.
//!
//! Three things hold whenever the lock is free:
//!
//! - values inside + places promised to called producers <= capacity;
//! - a producer waits only while no place is free, so nobody who comes later finds one before it;
//! - a reader waits only while each value inside belongs to a reader that was called for it.

use std::collections::VecDeque;

use super::{
    outcome::{FullMode, Stats},
    wait::{Called, Line},
};

pub(super) struct State<T> {
    values: VecDeque<T>,
    capacity: usize,
    mode: FullMode,
    /// Places of producers that were called and have not come yet.
    promised: usize,
    pub(super) producers: Line,
    pub(super) readers: Line,
    pub(super) closed: bool,
    pub(super) senders: usize,
    pub(super) receivers: usize,
    sent: u64,
    received: u64,
    dropped: u64,
}

/// What a channel that is open does with a value.
pub(super) enum Offered<T> {
    Stored,
    /// Stored, at the cost of this one.
    Displaced(T),
    /// [`FullMode::DropWrite`].
    Dropped(T),
    /// [`FullMode::Wait`].
    Full(T),
}

impl<T> State<T> {
    pub(super) fn new(capacity: usize, reserve: usize, mode: FullMode) -> Self {
        Self {
            values: VecDeque::with_capacity(capacity.min(reserve)),
            capacity,
            mode,
            promised: 0,
            producers: Line::default(),
            readers: Line::default(),
            closed: false,
            senders: 1,
            receivers: 1,
            sent: 0,
            received: 0,
            dropped: 0,
        }
    }

    /// Puts `value` in, by the full mode if there is no free place.
    pub(super) fn offer(&mut self, value: T, called: &mut Called) -> Offered<T> {
        if self.values.len() + self.promised < self.capacity {
            self.enter(value, called);
            return Offered::Stored;
        }
        let displaced = match self.mode {
            FullMode::Wait => return Offered::Full(value),
            FullMode::DropWrite => None,
            FullMode::DropNewest => self.values.pop_back(),
            FullMode::DropOldest => self.values.pop_front(),
        };
        self.dropped += 1;
        match displaced {
            // No reader is called: as many values are inside as before.
            Some(displaced) => {
                self.values.push_back(value);
                self.sent += 1;
                Offered::Displaced(displaced)
            }
            None => Offered::Dropped(value),
        }
    }

    /// Puts `value` into the place that was promised to its producer.
    pub(super) fn enter_promised(&mut self, value: T, called: &mut Called) {
        self.promised -= 1;
        self.enter(value, called);
    }

    fn enter(&mut self, value: T, called: &mut Called) {
        self.values.push_back(value);
        self.sent += 1;
        self.call_reader(called);
    }

    fn call_reader(&mut self, called: &mut Called) {
        if let Some(reader) = self.readers.call() {
            called.push(reader);
        }
    }

    /// Takes the first value; its place goes to the producer that waits longest.
    pub(super) fn take(&mut self, called: &mut Called) -> Option<T> {
        let value = self.values.pop_front()?;
        self.received += 1;
        self.promise(called);
        Some(value)
    }

    /// Takes up to `limit` values in their order and says how many; their places go to producers in theirs.
    pub(super) fn take_many(
        &mut self,
        limit: usize,
        buffer: &mut Vec<T>,
        called: &mut Called,
    ) -> usize {
        let count = limit.min(self.values.len());
        buffer.extend(self.values.drain(..count));
        self.received += count as u64;
        for _ in 0..count {
            if !self.promise(called) {
                break;
            }
        }
        count
    }

    /// Promises a place that just became free to the producer that waits longest.
    fn promise(&mut self, called: &mut Called) -> bool {
        let Some(producer) = self.producers.call() else {
            return false;
        };
        self.promised += 1;
        called.push(producer);
        true
    }

    /// Gives on the place of a called producer that went away.
    pub(super) fn break_promise(&mut self, called: &mut Called) {
        if !self.closed {
            self.promised -= 1;
            self.promise(called);
        }
    }

    /// Calls another reader in place of one that was called and went away. Its value may be gone: then nobody is called.
    pub(super) fn call_again(&mut self, called: &mut Called) {
        if !self.values.is_empty() {
            self.call_reader(called);
        }
    }

    /// Lets nothing more in and calls everybody: nobody has anything to wait for.
    pub(super) fn close(&mut self, called: &mut Called) {
        self.closed = true;
        self.promised = 0;
        while let Some(waker) = self.producers.call().or_else(|| self.readers.call()) {
            called.push(waker);
        }
    }

    /// Everything inside, for whom nobody is left to read.
    pub(super) fn remains(&mut self) -> VecDeque<T> {
        std::mem::take(&mut self.values)
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            sent: self.sent,
            received: self.received,
            dropped: self.dropped,
            depth: self.values.len(),
            capacity: self.capacity,
        }
    }
}

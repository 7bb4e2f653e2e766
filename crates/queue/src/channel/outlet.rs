//! The readers' half: values that were fetched from the intake in one go, and what producers are told without a lock.

use std::collections::VecDeque;

use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// What the readers' lock guards: the values in front.
pub(super) struct Outlet<T> {
    pub(super) values: VecDeque<T>,
    taken: u64,
}

impl<T> Outlet<T> {
    pub(super) fn new(reserve: usize) -> Self {
        Self {
            values: VecDeque::with_capacity(reserve),
            taken: 0,
        }
    }

    pub(super) fn take(&mut self, signal: &Signal) -> Option<T> {
        let value = self.values.pop_front()?;
        self.freed(1, signal);
        Some(value)
    }

    /// Appends up to `limit` values to `buffer` and says how many.
    pub(super) fn take_many(
        &mut self,
        limit: usize,
        buffer: &mut Vec<T>,
        signal: &Signal,
    ) -> usize {
        let count = limit.min(self.values.len());
        buffer.extend(self.values.drain(..count));
        self.freed(count as u64, signal);
        count
    }

    fn freed(&mut self, places: u64, signal: &Signal) {
        self.taken += places;
        signal.taken.0.store(self.taken, Ordering::SeqCst);
    }
}

/// Two words between the halves. A reader first says what it took and then looks whether a producer wants a place; a
/// producer first says that it wants one and then looks what was taken. Both in one total order (`SeqCst`): at least one
/// of them sees the other, so a place never stays free beside a producer that waits.
pub(super) struct Signal {
    taken: Apart<AtomicU64>,
    wanted: Apart<AtomicBool>,
}

/// Alone on its cache lines: one side writes often what the other seldom reads.
#[repr(align(128))]
pub(super) struct Apart<T>(pub(super) T);

impl Signal {
    pub(super) fn new() -> Self {
        Self {
            taken: Apart(AtomicU64::new(0)),
            wanted: Apart(AtomicBool::new(false)),
        }
    }

    /// Values taken since the channel was made.
    pub(super) fn taken(&self) -> u64 {
        self.taken.0.load(Ordering::SeqCst)
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.0.load(Ordering::SeqCst)
    }

    pub(super) fn want(&self, wanted: bool) {
        self.wanted.0.store(wanted, Ordering::SeqCst);
    }
}

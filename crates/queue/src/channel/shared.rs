//! What all ends of a channel share: two halves, each under a lock of its own.
//!
//! Producers meet at the intake, readers at the outlet. A reader that finds the outlet empty swaps it with the intake, so
//! one meeting of the two sides serves as many values as came meanwhile. Whoever needs both locks takes the outlet's
//! first.

use std::sync::PoisonError;

use super::{
    DEFAULT_CAPACITY,
    intake::Intake,
    outcome::{FullMode, Sent, Stats, TrySendError},
    outlet::{Apart, Outlet, Signal},
    wait::Called,
};
use crate::sync::{Mutex, MutexGuard};

pub(super) struct Shared<T> {
    outlet: Apart<Mutex<Outlet<T>>>,
    intake: Apart<Mutex<Intake<T>>>,
    pub(super) signal: Signal,
    on_dropped: Box<dyn Fn(T) + Send + Sync>,
}

/// Nothing that is not ours runs under a lock (no hook, no waking, no drop of a value or waker), so none is held for long
/// or taken twice.
impl<T> Shared<T> {
    pub(super) fn new(
        capacity: usize,
        mode: FullMode,
        on_dropped: Box<dyn Fn(T) + Send + Sync>,
    ) -> Self {
        let reserve = capacity.min(DEFAULT_CAPACITY);
        Self {
            outlet: Apart(Mutex::new(Outlet::new(reserve))),
            intake: Apart(Mutex::new(Intake::new(capacity, reserve, mode))),
            signal: Signal::new(),
            on_dropped,
        }
    }

    pub(super) fn outlet(&self) -> MutexGuard<'_, Outlet<T>> {
        self.outlet.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn intake(&self) -> MutexGuard<'_, Intake<T>> {
        self.intake.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `value` in, by the full mode if there is no free place.
    pub(super) fn offer(&self, value: T) -> Result<Sent, TrySendError<T>> {
        let mut called = Called::default();
        let mut intake = self.intake();
        if intake.closed {
            return Err(TrySendError::Closed(value));
        }
        if intake.has_place(&self.signal, &mut called) {
            intake.enter(value, &mut called);
            drop(intake);
            called.wake();
            return Ok(Sent::Stored);
        }
        let mode = intake.mode;
        if mode == FullMode::DropWrite {
            intake.dropped += 1;
        }
        drop(intake);
        called.wake();
        match mode {
            FullMode::Wait => Err(TrySendError::Full(value)),
            FullMode::DropWrite => {
                (self.on_dropped)(value);
                Ok(Sent::Dropped)
            }
            FullMode::DropNewest | FullMode::DropOldest => self.displace(value),
        }
    }

    /// Puts `value` in at the cost of another, which may lie in either half.
    fn displace(&self, value: T) -> Result<Sent, TrySendError<T>> {
        let mut called = Called::default();
        let mut outlet = self.outlet();
        let mut intake = self.intake();
        if intake.closed {
            return Err(TrySendError::Closed(value));
        }
        let displaced = if intake.has_place(&self.signal, &mut called) {
            // A reader has left one since the caller looked.
            None
        } else if intake.mode == FullMode::DropNewest {
            intake
                .values
                .pop_back()
                .or_else(|| outlet.values.pop_back())
        } else {
            outlet
                .values
                .pop_front()
                .or_else(|| intake.values.pop_front())
        };
        match displaced {
            Some(_) => intake.replace(value),
            None => intake.enter(value, &mut called),
        }
        drop(intake);
        drop(outlet);
        called.wake();
        Ok(match displaced {
            Some(displaced) => {
                (self.on_dropped)(displaced);
                Sent::Displaced
            }
            None => Sent::Stored,
        })
    }

    /// Fetches what came into the intake, if the outlet is empty. If both are, the intake stays locked and comes back, so
    /// that a reader can get in line before anything more enters.
    pub(super) fn refill(&self, outlet: &mut Outlet<T>) -> Result<(), MutexGuard<'_, Intake<T>>> {
        if outlet.values.is_empty() {
            let mut intake = self.intake();
            if intake.values.is_empty() {
                return Err(intake);
            }
            std::mem::swap(&mut outlet.values, &mut intake.values);
        }
        Ok(())
    }

    /// After places were freed: calls the producers that wait for them.
    pub(super) fn serve(&self) {
        if self.signal.is_wanted() {
            let mut called = Called::default();
            self.intake().serve(&self.signal, &mut called);
            called.wake();
        }
    }

    pub(super) fn close(&self) {
        let mut called = Called::default();
        self.intake().close(&self.signal, &mut called);
        called.wake();
    }

    /// Closes, and drops what is inside: nobody is left to read it.
    pub(super) fn abandon(&self) {
        // Closed first: nothing enters behind what is taken out.
        self.close();
        let mut outlet = self.outlet();
        let front = std::mem::take(&mut outlet.values);
        let back = std::mem::take(&mut self.intake().values);
        drop(outlet);
        drop((front, back));
    }

    pub(super) fn stats(&self) -> Stats {
        let outlet = self.outlet();
        let intake = self.intake();
        Stats {
            sent: intake.sent,
            received: self.signal.taken(),
            dropped: intake.dropped,
            depth: outlet.values.len() + intake.values.len(),
            capacity: intake.capacity,
        }
    }
}

//! Tasks that wait in line, and those to be woken once the lock is free.

use std::{collections::VecDeque, task::Waker};

/// A place in a line; who came earlier has the smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// Tasks in the order in which they came. Whoever is called leaves the line by that: a ticket that is not in the line any
/// more was called.
#[derive(Default)]
pub(super) struct Line {
    /// Sorted by ticket.
    tasks: VecDeque<(Ticket, Waker)>,
    next: u64,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// A new place at the end.
    pub(super) fn join(&mut self, waker: &Waker) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.tasks.push_back((ticket, waker.clone()));
        ticket
    }

    /// Whether `ticket` was called.
    pub(super) fn was_called(&self, ticket: Ticket) -> bool {
        self.find(ticket).is_err()
    }

    /// Keeps the place of `ticket`, or takes it again after a call that came to nothing. What it gives back is to be
    /// dropped without the lock: the last waker of a task may drop the task, and with it ends of this channel.
    pub(super) fn stay(&mut self, ticket: Ticket, waker: &Waker) -> Option<Waker> {
        match self.find(ticket) {
            Ok(at) if self.tasks[at].1.will_wake(waker) => None,
            Ok(at) => Some(std::mem::replace(&mut self.tasks[at].1, waker.clone())),
            Err(at) => {
                self.tasks.insert(at, (ticket, waker.clone()));
                None
            }
        }
    }

    /// Gives a place up; `None` if its task was called. The waker is to be dropped without the lock.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Waker> {
        let at = self.find(ticket).ok()?;
        self.tasks.remove(at).map(|(_, waker)| waker)
    }

    /// Calls the first.
    pub(super) fn call(&mut self) -> Option<Waker> {
        self.tasks.pop_front().map(|(_, waker)| waker)
    }

    fn find(&self, ticket: Ticket) -> Result<usize, usize> {
        // Most of those who ask were called, and were the first.
        match self.tasks.front() {
            Some((first, _)) if *first <= ticket => self
                .tasks
                .binary_search_by_key(&ticket, |(ticket, _)| *ticket),
            _ => Err(0),
        }
    }
}

/// Tasks that were called under the lock. They are woken without it, so that they do not run into it at once.
#[derive(Default)]
#[must_use = "whoever was called sleeps until it is woken"]
pub(super) struct Called {
    first: Option<Waker>,
    more: Vec<Waker>,
}

impl Called {
    pub(super) fn push(&mut self, waker: Waker) {
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.more.push(waker);
        }
    }

    pub(super) fn wake(self) {
        if let Some(first) = self.first {
            first.wake();
        }
        for waker in self.more {
            waker.wake();
        }
    }
}

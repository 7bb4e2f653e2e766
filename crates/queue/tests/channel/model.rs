//! The channel beside the plainest model of it, step by step: who waits, who is called, what is inside.

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc, task::Poll};

use posthaste_queue::channel::{Closed, FullMode, Receiver, Sender, Sent, TrySendError, bounded};
use proptest::prelude::*;

use crate::{Bell, MODES};

#[derive(Debug, Clone, Copy)]
enum Command {
    /// `try_send`.
    Try(u32),
    /// `send`, polled once.
    Send(u32),
    /// Polls one of the sends that wait, or drops it.
    PollSend(usize),
    DropSend(usize),
    /// `try_recv`.
    Take,
    /// `recv_many`, polled once; the task then waits.
    Receive(usize),
    PollReceive(usize),
    DropReceive(usize),
    Close,
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        4 => any::<u32>().prop_map(Command::Try),
        8 => any::<u32>().prop_map(Command::Send),
        4 => any::<usize>().prop_map(Command::PollSend),
        2 => any::<usize>().prop_map(Command::DropSend),
        6 => Just(Command::Take),
        4 => (1_usize..4).prop_map(Command::Receive),
        4 => any::<usize>().prop_map(Command::PollReceive),
        2 => any::<usize>().prop_map(Command::DropReceive),
        1 => Just(Command::Close),
    ]
}

/// Somebody who waits, in both worlds.
struct Waiter<'a, R> {
    future: Pin<Box<dyn Future<Output = R> + 'a>>,
    bell: Arc<Bell>,
    /// What the model says: whether it was called.
    called: bool,
    /// The value of a producer, the limit of a reader.
    what: u32,
}

impl<R> Waiter<'_, R> {
    fn poll(&mut self) -> Poll<R> {
        self.bell.poll(self.future.as_mut())
    }
}

struct Both<'a> {
    sender: &'a Sender<u32>,
    receiver: &'a Receiver<u32>,
    mode: FullMode,
    capacity: usize,
    values: VecDeque<u32>,
    producers: Vec<Waiter<'a, Result<Sent, Closed<u32>>>>,
    readers: Vec<Waiter<'a, Vec<u32>>>,
    closed: bool,
    dropped: u64,
    received: u64,
}

impl<'a> Both<'a> {
    /// Places that are neither full nor promised.
    fn free(&self) -> usize {
        let promised = self.producers.iter().filter(|producer| producer.called);
        self.capacity - self.values.len() - if self.closed { 0 } else { promised.count() }
    }

    fn enter(&mut self, value: u32) {
        self.values.push_back(value);
        self.call_reader();
    }

    fn call_reader(&mut self) {
        if let Some(reader) = self.readers.iter_mut().find(|reader| !reader.called) {
            reader.called = true;
        }
    }

    fn serve(&mut self) {
        while self.free() > 0
            && let Some(producer) = self.producers.iter_mut().find(|producer| !producer.called)
        {
            producer.called = true;
        }
    }

    /// What becomes of a value that does not wait.
    fn offer(&mut self, value: u32) -> Result<Sent, TrySendError<u32>> {
        if self.closed {
            return Err(TrySendError::Closed(value));
        }
        if self.free() > 0 {
            self.enter(value);
            return Ok(Sent::Stored);
        }
        match self.mode {
            FullMode::Wait => return Err(TrySendError::Full(value)),
            FullMode::DropWrite => {
                self.dropped += 1;
                return Ok(Sent::Dropped);
            }
            FullMode::DropNewest => self.values.pop_back(),
            FullMode::DropOldest => self.values.pop_front(),
        };
        self.values.push_back(value);
        self.dropped += 1;
        Ok(Sent::Displaced)
    }

    fn take(&mut self, limit: usize) -> Vec<u32> {
        let taken: Vec<u32> = self.values.drain(..limit.min(self.values.len())).collect();
        self.received += taken.len() as u64;
        self.serve();
        taken
    }

    fn step(&mut self, command: Command) {
        let (sender, receiver) = (self.sender, self.receiver);
        match command {
            Command::Try(value) => assert_eq!(sender.try_send(value), self.offer(value)),
            Command::Send(value) => {
                let mut producer = Waiter {
                    future: Box::pin(sender.send(value)),
                    bell: Arc::default(),
                    called: false,
                    what: value,
                };
                let polled = producer.poll();
                match self.offer(value) {
                    Ok(sent) => assert_eq!(polled, Poll::Ready(Ok(sent))),
                    Err(TrySendError::Closed(value)) => {
                        assert_eq!(polled, Poll::Ready(Err(Closed(value))));
                    }
                    Err(TrySendError::Full(_)) => {
                        assert_eq!(polled, Poll::Pending);
                        self.producers.push(producer);
                    }
                }
            }
            Command::PollSend(at) if !self.producers.is_empty() => {
                let at = at % self.producers.len();
                let polled = self.producers[at].poll();
                let value = self.producers[at].what;
                if self.closed {
                    assert_eq!(polled, Poll::Ready(Err(Closed(value))));
                } else if self.producers[at].called {
                    assert_eq!(polled, Poll::Ready(Ok(Sent::Stored)));
                    self.enter(value);
                } else {
                    assert_eq!(polled, Poll::Pending);
                    return;
                }
                self.producers.remove(at);
            }
            Command::DropSend(at) if !self.producers.is_empty() => {
                self.producers.remove(at % self.producers.len());
                self.serve();
            }
            Command::Take => assert_eq!(receiver.try_recv(), self.take(1).first().copied()),
            Command::Receive(limit) => {
                let future = async move {
                    let mut taken = Vec::new();
                    assert_eq!(receiver.recv_many(&mut taken, limit).await, taken.len());
                    taken
                };
                let reader = Waiter {
                    future: Box::pin(future),
                    bell: Arc::default(),
                    called: false,
                    what: u32::try_from(limit).expect("limits are small"),
                };
                // Looks as a called one does: it takes what is there.
                self.poll_reader(reader, None);
            }
            Command::PollReceive(at) if !self.readers.is_empty() => {
                let at = at % self.readers.len();
                let reader = self.readers.remove(at);
                self.poll_reader(reader, Some(at));
            }
            Command::DropReceive(at) if !self.readers.is_empty() => {
                let reader = self.readers.remove(at % self.readers.len());
                if reader.called && !self.values.is_empty() {
                    self.call_reader();
                }
            }
            Command::Close => {
                sender.close();
                self.closed = true;
                self.producers
                    .iter_mut()
                    .for_each(|waiter| waiter.called = true);
                self.readers
                    .iter_mut()
                    .for_each(|waiter| waiter.called = true);
            }
            Command::PollSend(_)
            | Command::DropSend(_)
            | Command::PollReceive(_)
            | Command::DropReceive(_) => {}
        }
    }

    fn poll_reader(&mut self, mut reader: Waiter<'a, Vec<u32>>, at: Option<usize>) {
        let polled = reader.poll();
        let taken = self.take(reader.what as usize);
        if taken.is_empty() && !self.closed {
            assert_eq!(polled, Poll::Pending);
            // It keeps its place in line, also after a call that came to nothing.
            reader.called = false;
            self.readers
                .insert(at.unwrap_or(self.readers.len()), reader);
        } else {
            assert_eq!(polled, Poll::Ready(taken));
        }
    }

    fn compare(&self) {
        let stats = self.receiver.stats();
        assert_eq!(stats.depth, self.values.len());
        assert_eq!(
            (stats.received, stats.dropped),
            (self.received, self.dropped)
        );
        for (side, rung, called) in self
            .producers
            .iter()
            .map(|waiter| ("producer", waiter.bell.has_rung(), waiter.called))
            .chain(
                self.readers
                    .iter()
                    .map(|waiter| ("reader", waiter.bell.has_rung(), waiter.called)),
            )
        {
            assert!(rung || !called, "a {side} was not woken");
            assert!(called || !rung, "a {side} was woken for nothing");
        }
    }
}

proptest! {
    #[test]
    fn a_channel_does_what_the_plainest_model_does(
        mode in prop::sample::select(MODES.to_vec()),
        capacity in 1_usize..5,
        commands in prop::collection::vec(command(), 0..80),
    ) {
        let (sender, receiver) = bounded(capacity, mode);
        let mut both = Both {
            sender: &sender,
            receiver: &receiver,
            mode,
            capacity,
            values: VecDeque::new(),
            producers: Vec::new(),
            readers: Vec::new(),
            closed: false,
            dropped: 0,
            received: 0,
        };
        for command in commands {
            both.step(command);
            both.compare();
        }
    }
}

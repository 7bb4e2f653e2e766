//! The way in of one stream in memory: a channel bounded in mails, and in bytes by room that each mail brings along.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use posthaste_domain::{message::NewMessage, stores::StoreError, stream::StreamName};
use posthaste_queue::{
    Lane as QueueLane,
    channel::{self, Closed, FullMode, Receiver, Sender, Sent, TrySendError},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{MemoryBounds, Tally, Unsent, WhenFull};

/// How long a submit waits for room, as one to the store does.
const PATIENCE: Duration = Duration::from_secs(2);

/// A mail that waits. Its room is free as soon as it is taken out.
pub(super) struct Waiting {
    pub(super) message: NewMessage,
    _room: OwnedSemaphorePermit,
}

/// What became of a submit.
pub(super) enum Put {
    /// It waits here.
    Kept,
    /// It was dropped.
    Dropped,
    /// It is to be stored.
    Spilled(Box<NewMessage>),
}

pub(super) struct Lane {
    pub(super) stream: StreamName,
    /// Under this name operators pause it.
    pub(super) lane: QueueLane,
    pub(super) bounds: MemoryBounds,
    pub(super) tally: Arc<Tally>,
    sender: Sender<Waiting>,
    receiver: Receiver<Waiting>,
    room: Arc<Semaphore>,
    closed: AtomicBool,
}

impl Lane {
    pub(super) fn new(stream: StreamName, bounds: MemoryBounds) -> Self {
        let tally = Arc::new(Tally::new(stream.clone()));
        let mode = match bounds.full {
            WhenFull::Wait | WhenFull::Spill => FullMode::Wait,
            WhenFull::DropNewest => FullMode::DropNewest,
            WhenFull::DropOldest => FullMode::DropOldest,
            WhenFull::DropWrite => FullMode::DropWrite,
        };
        let counted = Arc::clone(&tally);
        let (sender, receiver) = channel::bounded_with(bounds.capacity, mode, move |mail| {
            let Waiting { message, .. } = mail;
            counted.dropped(message.id, "full");
        });
        let lane = stream.as_str().parse();
        Self {
            lane: lane.expect("a stream's name names a lane"),
            stream,
            room: Arc::new(Semaphore::new(bounds.bytes)),
            bounds,
            tally,
            sender,
            receiver,
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn receiver(&self) -> &Receiver<Waiting> {
        &self.receiver
    }

    /// Lets nothing more in.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.receiver.close();
    }

    /// Takes a submit, by what the stream does when it is full.
    pub(super) async fn put(&self, message: NewMessage) -> Result<Put, StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return self.put_late(message);
        }
        // One that is larger than all the room there is may enter alone.
        let size = message.size().min(self.bounds.bytes);
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        match self.bounds.full {
            WhenFull::Wait => self.put_in_time(message, size).await,
            WhenFull::Spill => Ok(self.put_now(message, size)),
            WhenFull::DropOldest => {
                while self.room.available_permits() < size as usize
                    && let Some(oldest) = self.receiver.try_recv()
                {
                    self.tally.dropped(oldest.message.id, "full");
                }
                self.put_or_drop(message, size).await
            }
            WhenFull::DropNewest | WhenFull::DropWrite => self.put_or_drop(message, size).await,
        }
    }

    async fn put_in_time(&self, message: NewMessage, size: u32) -> Result<Put, StoreError> {
        let entered = async {
            let room = Arc::clone(&self.room).acquire_many_owned(size).await;
            let _room = room.expect("the room is never closed");
            self.sender.send(Waiting { message, _room }).await
        };
        match timeout(PATIENCE, entered).await {
            Ok(Ok(_)) => Ok(Put::Kept),
            Ok(Err(Closed(late))) => self.put_late(late.message),
            Err(_elapsed) => Err(StoreError::Overloaded),
        }
    }

    fn put_now(&self, message: NewMessage, size: u32) -> Put {
        let Ok(_room) = Arc::clone(&self.room).try_acquire_many_owned(size) else {
            return Put::Spilled(Box::new(message));
        };
        match self.sender.try_send(Waiting { message, _room }) {
            Ok(_) => Put::Kept,
            Err(TrySendError::Full(back) | TrySendError::Closed(back)) => {
                Put::Spilled(Box::new(back.message))
            }
        }
    }

    async fn put_or_drop(&self, message: NewMessage, size: u32) -> Result<Put, StoreError> {
        let Ok(_room) = Arc::clone(&self.room).try_acquire_many_owned(size) else {
            self.tally.dropped(message.id, "full");
            return Ok(Put::Dropped);
        };
        match self.sender.send(Waiting { message, _room }).await {
            Ok(Sent::Stored | Sent::Displaced) => Ok(Put::Kept),
            Ok(Sent::Dropped) => Ok(Put::Dropped),
            Err(Closed(late)) => self.put_late(late.message),
        }
    }

    /// What comes after the close is nobody's here any more.
    fn put_late(&self, message: NewMessage) -> Result<Put, StoreError> {
        match self.bounds.unsent {
            Unsent::Spill => Ok(Put::Spilled(Box::new(message))),
            Unsent::Drop => Err(StoreError::Unavailable(None)),
        }
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("stream", &self.stream)
            .field("bounds", &self.bounds)
            .field("channel", &self.receiver.stats())
            .finish_non_exhaustive()
    }
}

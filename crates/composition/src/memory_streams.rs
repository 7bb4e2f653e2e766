//! Streams that are kept in memory: for mail that may be lost (analytics, previews), at no cost to the database.
//!
//! A submit to such a stream enters a channel that is bounded in mails and in bytes, and is sent from there by the same
//! delivery as stored mail. What is full, dropped, spilled and of unknown outcome is counted. *Spilling* is storing: a
//! mail that cannot stay in memory is accepted durably under its own id, for the recipients that are still open.
//!
//! - A submit under an idempotency key is stored whatever its stream: a key is a promise.
//! - A mail is tried once. What is deferred then is spilled with its wait, or, on a stream that drops, given up.
//! - A mail whose final dot is out is never spilled: it may have arrived.

mod lane;
mod sending;
mod tally;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use posthaste_domain::{
    id::MessageId,
    idempotency::{Answer, Idempotency, Keyed},
    message::NewMessage,
    owner::Owner,
    stores::{Accepted, MessageStore, OutgoingMessage, StoreError, StoredDelivery, StoredMessage},
    stream::StreamName,
};
use posthaste_mail::Deliver;
use posthaste_queue::Controls;

pub use self::sending::MemorySenders;
use self::{
    lane::{Lane, Put},
    tally::Tally,
};

/// What a stream in memory does with one more mail when it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The submitter waits for room, two seconds at most, and is then told to come again.
    Wait,
    /// The mail that entered last makes room; where bytes are short, the one that would enter is dropped.
    DropNewest,
    /// The mails that entered first make room.
    DropOldest,
    /// The mail that would enter is dropped.
    DropWrite,
    /// The mail that would enter is stored.
    Spill,
}

/// What becomes of mail that leaves the memory unsent: at a stop, and after an attempt that another could follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// It is stored.
    Spill,
    /// It is dropped and counted.
    Drop,
}

/// The bounds of a stream in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBounds {
    /// Most mails that wait.
    pub capacity: usize,
    /// Most bytes of mails that wait.
    pub bytes: usize,
    /// When it is full.
    pub full: WhenFull,
    /// What becomes of mail that leaves it unsent.
    pub unsent: Unsent,
    /// Most mails in hand at a time.
    pub permits: usize,
}

/// The store of a node with streams in memory: their mail stays here, everything else goes to the store behind.
#[derive(Debug)]
pub struct MemoryStreams {
    store: Arc<dyn MessageStore>,
    lanes: BTreeMap<StreamName, Arc<Lane>>,
}

impl MemoryStreams {
    /// These streams, before `store`. Nothing is sent before [`MemoryStreams::senders`] run.
    #[must_use]
    pub fn new(
        store: Arc<dyn MessageStore>,
        streams: impl IntoIterator<Item = (StreamName, MemoryBounds)>,
    ) -> Self {
        let lane = |(name, bounds): (StreamName, MemoryBounds)| {
            let lane = Arc::new(Lane::new(name.clone(), bounds));
            (name, lane)
        };
        Self {
            store,
            lanes: streams.into_iter().map(lane).collect(),
        }
    }

    /// What sends the mail of these streams, each attempt within `deadline`, and nothing of one that is paused.
    #[must_use]
    pub fn senders(
        &self,
        deliver: Arc<Deliver>,
        controls: Controls,
        deadline: Duration,
    ) -> MemorySenders {
        let lanes = self.lanes.values().cloned().collect();
        MemorySenders::new(lanes, Arc::clone(&self.store), deliver, controls, deadline)
    }
}

/// Every method is forwarded by name: a default would pass the store behind by.
#[async_trait]
impl MessageStore for MemoryStreams {
    async fn accept(
        &self,
        message: NewMessage,
        keyed: Option<Keyed>,
    ) -> Result<Accepted, StoreError> {
        let lane = self.lanes.get(&message.stream);
        // What is promised for later has to be on disk.
        let is_stored = keyed.is_some() || message.scheduled_at.is_some();
        let Some(lane) = lane.filter(|_| !is_stored) else {
            return self.store.accept(message, keyed).await;
        };
        match lane.put(message).await? {
            Put::Kept => Ok(Accepted::InMemory),
            Put::Dropped => Ok(Accepted::Dropped),
            Put::Spilled(message) => {
                let accepted = self.store.accept(*message, None).await?;
                lane.tally.spilled();
                Ok(accepted)
            }
        }
    }

    /// A batch is on disk whatever its streams: it is one transaction.
    async fn accept_all(
        &self,
        messages: Vec<NewMessage>,
        keyed: Option<Keyed>,
    ) -> Result<Accepted, StoreError> {
        self.store.accept_all(messages, keyed).await
    }

    async fn spill(&self, message: NewMessage, after: Duration) -> Result<(), StoreError> {
        self.store.spill(message, after).await
    }

    async fn answered(
        &self,
        owner: &Owner,
        request: &Idempotency,
    ) -> Result<Option<Answer>, StoreError> {
        self.store.answered(owner, request).await
    }

    async fn message(
        &self,
        owner: &Owner,
        id: MessageId,
    ) -> Result<Option<StoredMessage>, StoreError> {
        self.store.message(owner, id).await
    }

    async fn deliveries(
        &self,
        owner: &Owner,
        id: MessageId,
    ) -> Result<Option<Vec<StoredDelivery>>, StoreError> {
        self.store.deliveries(owner, id).await
    }

    async fn outgoing(&self, id: MessageId) -> Result<Option<OutgoingMessage>, StoreError> {
        self.store.outgoing(id).await
    }
}

#[cfg(test)]
mod tests;

//! Messages and their deliveries, as they are stored and read back.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::{
    address::EmailAddress,
    clock::Timestamp,
    delivery::{AttemptRun, DeliveryState, Doubt, MessageStatus, Reply},
    id::{DeliveryId, MessageId},
    idempotency::{Answer, Idempotency, Keyed},
    message::NewMessage,
    owner::Owner,
    stores::StoreError,
};

/// How a submit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Stored now.
    Stored,
    /// Kept in the memory of this process, as its stream wants it: not stored, and lost with the process.
    InMemory,
    /// Dropped at once, as its stream wants it: its memory is full.
    Dropped,
    /// The same request was accepted before, and answered so; nothing was stored now.
    Replayed(Answer),
    /// The key was used before for another request; nothing was stored.
    KeyReused,
    /// Another request under the key is still on its way, here or on another node, and did not end within five seconds;
    /// nothing was stored.
    InProgress,
}

/// A message as read back.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredMessage {
    /// What was accepted.
    pub message: NewMessage,
    /// Whether a worker holds its job now.
    pub leased: bool,
    /// Whether it waits for the time that it was scheduled for.
    pub scheduled: bool,
    /// Whether what it says was removed, because its time was over.
    pub removed: bool,
    /// The states of its deliveries, in the order of the recipients.
    pub states: Vec<DeliveryState>,
}

impl StoredMessage {
    /// What it is as a whole.
    #[must_use]
    pub fn status(&self) -> MessageStatus {
        match MessageStatus::of(&self.states, self.leased) {
            MessageStatus::Queued if self.scheduled => MessageStatus::Scheduled,
            status => status,
        }
    }
}

/// A delivery as read back.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The envelope recipient.
    pub recipient: EmailAddress,
    /// Its state.
    pub state: DeliveryState,
    /// Attempts made.
    pub tries: u32,
    /// When it will be tried again, while it is open.
    pub next_attempt_at: Option<Timestamp>,
    /// The attempts, oldest first.
    pub attempts: Vec<StoredAttempt>,
}

/// An attempt as read back.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAttempt {
    /// The run it was part of.
    pub run: AttemptRun,
    /// How it ended for this recipient.
    pub reply: Reply,
    /// Whether it was reported by a worker that had lost the job meanwhile: it explains a second copy and changed
    /// nothing.
    pub stale: bool,
}

/// A message on its way out, with the deliveries that are still open.
#[derive(Debug, Clone, PartialEq)]
pub struct OutgoingMessage {
    /// What to send.
    pub message: NewMessage,
    /// To whom; empty when nothing is left to do.
    pub open: Vec<OpenDelivery>,
    /// When it is given up, by the clock of this node. Where nodes share a database, the time left is counted by the
    /// database's clock: what the clock of the node said that accepted the message does not count.
    pub expires_at: Timestamp,
}

/// A delivery that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The envelope recipient.
    pub recipient: EmailAddress,
    /// Its state.
    pub state: DeliveryState,
    /// Attempts made so far.
    pub tries: u32,
    /// An attempt that may have delivered it.
    pub doubt: Option<Doubt>,
}

/// Messages and their deliveries.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait MessageStore: Debug + Send + Sync + 'static {
    /// Stores message, deliveries, the job that sends it and the idempotency key with its answer, all or nothing. When
    /// this returns `Ok(Accepted::Stored)`, all of it is on disk.
    ///
    /// Of all requests of an owner to a route under one key, on whatever nodes, one is stored for as long as keys are
    /// kept; a key older than that is free again. Only a stored one keeps its key.
    async fn accept(
        &self,
        message: NewMessage,
        keyed: Option<Keyed>,
    ) -> Result<Accepted, StoreError>;

    /// Stores several messages of one owner in the same way: all of them, on disk whatever their streams, or none.
    async fn accept_all(
        &self,
        messages: Vec<NewMessage>,
        keyed: Option<Keyed>,
    ) -> Result<Accepted, StoreError>;

    /// Stores a message that was kept in memory, with its deliveries and a job that is due after a wait.
    async fn spill(&self, message: NewMessage, after: Duration) -> Result<(), StoreError>;

    /// The answer to this very request of this owner, if it was accepted under its key and the key is still kept.
    async fn answered(
        &self,
        owner: &Owner,
        request: &Idempotency,
    ) -> Result<Option<Answer>, StoreError>;

    /// A message of this owner; another owner's is as absent as one that never was. Once its time is over it says nothing any
    /// more, and later it is gone ([`super::Housekeeping`]).
    async fn message(
        &self,
        owner: &Owner,
        id: MessageId,
    ) -> Result<Option<StoredMessage>, StoreError>;

    /// The deliveries of a message of this owner, in the order of its recipients.
    async fn deliveries(
        &self,
        owner: &Owner,
        id: MessageId,
    ) -> Result<Option<Vec<StoredDelivery>>, StoreError>;

    /// What a worker needs to send a message, without what its attachments hold.
    async fn outgoing(&self, id: MessageId) -> Result<Option<OutgoingMessage>, StoreError>;
}

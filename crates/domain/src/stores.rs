//! The ports of the stores: what the domain asks of a database, in the domain's words. None names a queue type:
//! accepting a message implies the job that sends it.
//!
//! Every method that writes is one transaction: all of it is committed and synced when the call returns `Ok`, none of
//! it when it returns an error other than [`StoreError::OutcomeUnknown`].

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{
    address::EmailAddress,
    clock::Timestamp,
    delivery::{AttemptRun, DeliveryState, Reply},
    id::{DeliveryId, MessageId, UserId},
    idempotency::Idempotency,
    message::NewMessage,
    owner::Owner,
    password::PasswordHash,
    template::{TemplateVersion, TemplateVersionId},
    token::{TokenHash, TokenPurpose},
    user::{DisplayName, User},
};

/// Why the store did not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// More waits to be written than the store may hold; nothing was stored.
    #[error("the store has too much to write")]
    Overloaded,
    /// The database failed or is stopping; nothing was stored.
    #[error("the store is not available")]
    Unavailable(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The reply to the commit was lost: the write may have happened.
    #[error("the outcome of a write is not known")]
    OutcomeUnknown(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// A stored value that this release cannot read.
    #[error("stored data cannot be read: {0}")]
    Unreadable(String),
}

/// How a submit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Stored now.
    Stored,
    /// The same request was accepted before, as this message.
    Replayed(MessageId),
    /// The key was used before for another request.
    KeyReused,
}

/// A message as read back.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredMessage {
    /// What was accepted.
    pub message: NewMessage,
    /// Whether a worker holds its job now.
    pub leased: bool,
    /// The states of its deliveries, in the order of the recipients.
    pub states: Vec<DeliveryState>,
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
}

/// Messages and their deliveries.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait MessageStore: Debug + Send + Sync + 'static {
    /// Stores message, deliveries, the job that sends it and the idempotency key, all or nothing. When this returns
    /// `Ok(Accepted::Stored)`, all of it is on disk.
    async fn accept(
        &self,
        message: NewMessage,
        idempotency: Option<Idempotency>,
    ) -> Result<Accepted, StoreError>;

    /// A message of this owner; another owner's is as absent as one that never was.
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

    /// What a worker needs to send a message.
    async fn outgoing(&self, id: MessageId) -> Result<Option<OutgoingMessage>, StoreError>;
}

/// An account to be made, with both mails of which one will be sent.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The new account's id.
    pub id: UserId,
    /// Its address.
    pub email: EmailAddress,
    /// How its owner wants to be addressed.
    pub display_name: Option<DisplayName>,
    /// Its password.
    pub password: PasswordHash,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// The token that confirms it.
    pub token: NewToken,
    /// Sent if the address was free.
    pub confirmation: NewMessage,
    /// Sent if the address has an account already: its owner is told, the one who asked is not.
    pub notice: NewMessage,
}

/// A one-time token to be stored.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What it permits.
    pub purpose: TokenPurpose,
    /// What is stored of it.
    pub hash: TokenHash,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Accounts and their one-time tokens.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait UserStore: Debug + Send + Sync + 'static {
    /// Stores account, token and confirmation mail; or, if the address is taken, the notice alone. The caller is not
    /// told which: neither can anybody else find out.
    async fn register(&self, registration: Registration) -> Result<(), StoreError>;

    /// An account by its id.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// Spends a confirmation token that is valid at `now` and activates its account. `None` if there is no such token,
    /// it has expired or was spent; of two callers at once only one is answered with the account.
    async fn confirm(&self, token: TokenHash, now: Timestamp)
    -> Result<Option<UserId>, StoreError>;
}

/// Template versions, by content.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait TemplateVersions: Debug + Send + Sync + 'static {
    /// Stores what is not there yet; a version that is there is never changed.
    async fn keep(&self, versions: Vec<TemplateVersion>) -> Result<(), StoreError>;

    /// A version by its content address.
    async fn version(&self, id: &TemplateVersionId) -> Result<Option<TemplateVersion>, StoreError>;
}

/// Rows that have served their time. Each call removes at most `limit` rows in one short transaction and says how many.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Housekeeping: Debug + Send + Sync + 'static {
    /// Refresh tokens and one-time tokens that expired before `before`.
    async fn prune_tokens(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Idempotency keys made before `before`.
    async fn prune_idempotency_keys(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError>;

    /// Nodes that have left, and did so before `before`.
    async fn prune_nodes(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// Whether the store can be used right now.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait StoreHealth: Debug + Send + Sync + 'static {
    /// Asks the database for an answer.
    ///
    /// # Errors
    /// [`StoreError`] if there is none.
    async fn ping(&self) -> Result<(), StoreError>;
}

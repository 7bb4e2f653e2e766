//! The ports of the stores: what the domain asks of a database, in the domain's words. None names a queue type:
//! accepting a message implies the job that sends it.
//!
//! Every method that writes is one transaction: all of it is committed and synced when the call returns `Ok`, none of
//! it when it returns an error other than [`StoreError::OutcomeUnknown`].

mod accounts;
mod attachments;
mod decisions;
mod keys;
mod listing;
mod messages;
mod rates;
mod sessions;
mod upkeep;

#[cfg(feature = "testing")]
pub use self::{
    accounts::MockUserStore,
    attachments::MockAttachmentStore,
    decisions::MockDecisions,
    keys::MockApiKeyStore,
    listing::MockMessageLists,
    messages::MockMessageStore,
    rates::MockTokenBuckets,
    sessions::MockSessionStore,
    upkeep::{MockHousekeeping, MockStoreHealth, MockTemplateVersions},
};
pub use self::{
    accounts::{
        Credentials, LinkRequest, MailAllowance, NewToken, PasswordChange, PasswordReset,
        Registration, Requested, UserStore,
    },
    attachments::AttachmentStore,
    decisions::{Decided, Decisions, Move, Resolution},
    keys::{ApiKeyStore, NewApiKey, NextApiKey, StoredApiKey},
    listing::{MessageFilter, MessageLists, Page, PageAt},
    messages::{
        Accepted, MessageStore, OpenDelivery, OutgoingMessage, StoredAttempt, StoredDelivery,
        StoredMessage,
    },
    rates::{Taken, TokenBuckets},
    sessions::{NewSession, NewTokens, Rotated, Rotation, SessionStore},
    upkeep::{Arranged, Finding, Housekeeping, StoreHealth, TemplateVersions},
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

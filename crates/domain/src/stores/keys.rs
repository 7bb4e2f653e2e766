//! Stored API keys.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::{
    clock::Timestamp,
    id::KeyId,
    key::{ApiKey, KeyHash},
    owner::Owner,
    stores::StoreError,
};

/// A key that is to be stored. Its text is not among it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// Its id.
    pub id: KeyId,
    /// Whose it is, and what it permits.
    pub key: ApiKey,
    /// The hash of its text.
    pub hash: KeyHash,
    /// The beginning of its text.
    pub beginning: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
}

/// A stored key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredApiKey {
    /// Its id.
    pub id: KeyId,
    /// Whose it is, and what it permits.
    pub key: ApiKey,
    /// The beginning of its text.
    pub beginning: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// What takes the place of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextApiKey {
    /// Its id.
    pub id: KeyId,
    /// The hash of its text.
    pub hash: KeyHash,
    /// The beginning of its text.
    pub beginning: String,
    /// When.
    pub at: Timestamp,
    /// How long the old one works beside it.
    pub overlap: Duration,
}

/// API keys that were made through the API or the command line.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait ApiKeyStore: Debug + Send + Sync + 'static {
    /// Stores a key.
    async fn add(&self, key: NewApiKey) -> Result<(), StoreError>;

    /// The key whose text has this hash, also where it has ended.
    async fn find(&self, hash: KeyHash) -> Result<Option<StoredApiKey>, StoreError>;

    /// The keys of an owner, or of all, the newest first.
    async fn keys(&self, owner: Option<Owner>) -> Result<Vec<StoredApiKey>, StoreError>;

    /// Gives a key of this owner another name; `false` if there is none.
    async fn rename(&self, owner: &Owner, id: KeyId, name: String) -> Result<bool, StoreError>;

    /// Removes a key of this owner; `false` if there is none.
    async fn remove(&self, owner: &Owner, id: KeyId) -> Result<bool, StoreError>;

    /// Puts another key in the place of one of this owner's that has not ended: it permits the same and ends when that one
    /// would have. The old one ends after the overlap, if not before. When it ends; nothing if there is no such key.
    async fn replace(
        &self,
        owner: &Owner,
        id: KeyId,
        next: NextApiKey,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Notes that a key was used.
    async fn used(&self, id: KeyId, at: Timestamp) -> Result<(), StoreError>;
}

//! What keeps a store in order: template versions, clean-up, and whether it answers.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{
    clock::Timestamp,
    stores::StoreError,
    template::{TemplateVersion, TemplateVersionId},
};

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
    /// One-time tokens, refresh tokens and sessions that expired before `before`.
    async fn prune_tokens(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// What was remembered of account mails asked for before `before`.
    async fn prune_mail_requests(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Idempotency keys made before `before`.
    async fn prune_idempotency_keys(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError>;

    /// Nodes that have left, and did so before `before`.
    async fn prune_nodes(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Buckets of rates that nobody took a token from since `before`, so that they are full.
    async fn prune_rates(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// What messages say that were accepted before `before`. Messages with a job, live or dead, keep it.
    async fn prune_bodies(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Messages that were accepted before `before`, with their bodies, deliveries and attempts; those with a job, live or
    /// dead, stay. Counted in messages.
    async fn prune_messages(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Where history is kept in parts: makes those of the weeks to come, and drops each part in which everything was
    /// accepted before these instants, but for messages with a job. To be called beside the pruning, which removes what
    /// lies in no part.
    async fn arrange_history(
        &self,
        now: Timestamp,
        bodies_before: Timestamp,
        messages_before: Timestamp,
    ) -> Result<Arranged, StoreError>;
}

/// What became of the parts of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arranged {
    /// Weeks for which room was made.
    pub made: u64,
    /// Parts that were dropped.
    pub dropped: u64,
}

/// Something measured of the database that people should know of. Nothing is done because of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// What.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub sound: bool,
    /// How much of it.
    pub seconds: f64,
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

    /// What was last measured of the database; it is not asked now.
    fn findings(&self) -> Vec<Finding>;
}

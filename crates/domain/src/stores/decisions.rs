//! What people decide about mail whose deliveries have ended.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{id::MessageId, owner::Owner, stores::StoreError};

/// How a delivery that was perhaps made is told to have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// It arrived.
    Delivered,
    /// It did not.
    Failed,
}

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// It is done, and on disk.
    Done,
    /// A worker has the mail in hand; nothing was changed.
    InHand,
    /// No delivery is in a state that this could be decided of; nothing was changed.
    NothingToDecide,
    /// What the message said was removed ([`super::Housekeeping`]), so it cannot be sent again; nothing was changed.
    WithoutBody,
    /// There is no such message of this owner.
    Absent,
}

/// Decisions about mail.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Decisions: Debug + Send + Sync + 'static {
    /// Ends the deliveries of a message that were perhaps made.
    async fn resolve(
        &self,
        owner: &Owner,
        id: MessageId,
        resolution: Resolution,
    ) -> Result<Decided, StoreError>;

    /// Opens the deliveries again that failed, expired or were perhaps made: the same bytes go under the same `Message-ID`, at
    /// once, and have as much time again as the message had.
    async fn retry(&self, owner: &Owner, id: MessageId) -> Result<Decided, StoreError>;
}

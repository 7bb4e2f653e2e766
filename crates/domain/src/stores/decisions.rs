//! What people decide about mail whose deliveries have ended.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::{clock::Timestamp, id::MessageId, owner::Owner, stores::StoreError};

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
    /// It would be over before it is due; nothing was changed.
    Expired,
    /// There is no such message of this owner.
    Absent,
}

/// Where a scheduled message is moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// When it is due.
    pub due_at: Timestamp,
    /// How long until then.
    pub wait: Duration,
    /// How long mail of its stream is tried that does not say so itself: that time moves along.
    pub usual_expiry: Duration,
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

    /// Moves a message to another time that still waits for the one that it was scheduled for.
    async fn reschedule(
        &self,
        owner: &Owner,
        id: MessageId,
        to: Move,
    ) -> Result<Decided, StoreError>;
}

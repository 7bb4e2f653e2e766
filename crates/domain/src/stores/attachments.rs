//! What attachments hold.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{
    id::{AttachmentId, MessageId},
    stores::StoreError,
};

/// What attachments hold. It is stored with their message ([`super::MessageStore::accept`]) and read apart from it, one at a
/// time, because it is large.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait AttachmentStore: Debug + Send + Sync + 'static {
    /// The bytes of an attachment of a message; nothing if there is none, or its time was over. Whose the message is was
    /// asked before.
    async fn attached(
        &self,
        message: MessageId,
        id: AttachmentId,
    ) -> Result<Option<Vec<u8>>, StoreError>;
}

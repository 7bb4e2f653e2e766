//! Lists of messages.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{
    address::EmailAddress,
    clock::Timestamp,
    delivery::MessageStatus,
    id::MessageId,
    idempotency::IdempotencyKey,
    message::Tag,
    owner::Owner,
    stores::{StoreError, StoredMessage},
    stream::StreamName,
    template::TemplateName,
};

/// Which messages are wanted: those to which all that is given applies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// It goes to this address, shown or hidden.
    pub to: Option<EmailAddress>,
    /// It is from this address.
    pub from: Option<EmailAddress>,
    /// Its subject begins so, in upper or lower case. A subject that is not known before the mail is rendered does not.
    pub subject: Option<String>,
    /// It has this tag.
    pub tag: Option<Tag>,
    /// It is in this state.
    pub status: Option<MessageStatus>,
    /// It is of this stream.
    pub stream: Option<StreamName>,
    /// It is made by this template.
    pub template: Option<TemplateName>,
    /// It was accepted at or after this instant.
    pub created_from: Option<Timestamp>,
    /// It was accepted before this instant.
    pub created_before: Option<Timestamp>,
    /// It was accepted under this key; of a batch, the first.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PageAt {
    /// With the newest.
    #[default]
    Newest,
    /// Behind this one, towards the older ones.
    After(MessageId),
    /// In front of this one, towards the newer ones.
    Before(MessageId),
}

/// A page of a list, the newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The messages, without what they say.
    pub messages: Vec<StoredMessage>,
    /// Whether the list goes on in the direction in which it was asked for.
    pub has_more: bool,
}

/// Messages as they are listed. Their order is that of their ids: of acceptance, as far as the clocks of the nodes agree.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait MessageLists: Debug + Send + Sync + 'static {
    /// At most `limit` messages of this owner.
    async fn list(
        &self,
        owner: &Owner,
        filter: &MessageFilter,
        at: PageAt,
        limit: usize,
    ) -> Result<Page, StoreError>;
}

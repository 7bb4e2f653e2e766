//! A store that keeps nothing: the other side of the ratio, the same server without its disk.

use async_trait::async_trait;
use posthaste_domain::{
    id::MessageId,
    idempotency::Idempotency,
    message::NewMessage,
    owner::Owner,
    stores::{Accepted, MessageStore, OutgoingMessage, StoreError, StoredDelivery, StoredMessage},
};

/// Says "stored" to whatever it is given.
#[derive(Debug)]
pub(super) struct Nowhere;

#[async_trait]
impl MessageStore for Nowhere {
    async fn accept(
        &self,
        _message: NewMessage,
        _idempotency: Option<Idempotency>,
    ) -> Result<Accepted, StoreError> {
        Ok(Accepted::Stored)
    }

    async fn message(
        &self,
        _owner: &Owner,
        _id: MessageId,
    ) -> Result<Option<StoredMessage>, StoreError> {
        Ok(None)
    }

    async fn deliveries(
        &self,
        _owner: &Owner,
        _id: MessageId,
    ) -> Result<Option<Vec<StoredDelivery>>, StoreError> {
        Ok(None)
    }

    async fn outgoing(&self, _id: MessageId) -> Result<Option<OutgoingMessage>, StoreError> {
        Ok(None)
    }
}

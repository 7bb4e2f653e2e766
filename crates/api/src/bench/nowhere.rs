//! A store that keeps nothing: the other side of the ratio, the same server without its disk.

use std::time::Duration;

use async_trait::async_trait;
use posthaste_domain::{
    id::MessageId,
    idempotency::{Answer, Idempotency, Keyed},
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
        _keyed: Option<Keyed>,
    ) -> Result<Accepted, StoreError> {
        Ok(Accepted::Stored)
    }

    async fn accept_all(
        &self,
        _messages: Vec<NewMessage>,
        _keyed: Option<Keyed>,
    ) -> Result<Accepted, StoreError> {
        Ok(Accepted::Stored)
    }

    async fn spill(&self, _message: NewMessage, _after: Duration) -> Result<(), StoreError> {
        Ok(())
    }

    async fn answered(
        &self,
        _owner: &Owner,
        _request: &Idempotency,
    ) -> Result<Option<Answer>, StoreError> {
        Ok(None)
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

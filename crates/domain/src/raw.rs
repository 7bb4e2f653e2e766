//! A message as it goes over the wire.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{message::NewMessage, stores::StoreError};

/// Why there are no bytes of a message.
#[derive(Debug, thiserror::Error)]
pub enum NotWritten {
    /// Other large mails take all the memory there is for them.
    #[error("there is no room in memory for another large mail just now")]
    NoRoom,
    /// It makes no mail, or something of it was removed.
    #[error("the message cannot be written: {0}")]
    Never(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault of this machine.
    #[error("the message cannot be signed")]
    Fault(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Writes messages as they are sent.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait WriteMail: Debug + Send + Sync + 'static {
    /// The bytes that an attempt to send the message would put on the wire, signature included.
    async fn write(&self, message: NewMessage) -> Result<Vec<u8>, NotWritten>;
}

//! From a stored message to the bytes that go over the wire: load, render, write, sign. Whoever does it, and however often,
//! the bytes are the same.

use std::sync::Arc;

use async_trait::async_trait;
use posthaste_domain::{
    message::NewMessage,
    raw::{NotWritten, WriteMail},
    stores::StoreError,
};

use crate::{
    dkim::{SignError, Signer},
    large::{LargeMails, NotLoaded, Room},
    mime::{self, MimeError},
    render::{RenderError, Renderer},
};

/// The bytes of a mail. What they take in memory counts until this is dropped.
#[derive(Debug)]
pub struct Built {
    bytes: Vec<u8>,
    _room: Room,
}

impl Built {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, which are not counted any more.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Why a mail cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Other large mails take all the memory there is for them.
    #[error("there is no room in memory for another large mail just now")]
    NoRoom,
    /// The store failed.
    #[error("a template version or an attachment cannot be read")]
    Store(#[source] StoreError),
    /// This machine cannot sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Never: what the message says makes no mail, or is not there any more.
    #[error(transparent)]
    Never(#[from] Unbuildable),
}

/// Why a message is no mail, however often it is tried.
#[derive(Debug, thiserror::Error)]
pub enum Unbuildable {
    /// It cannot be rendered.
    #[error(transparent)]
    Render(RenderError),
    /// It cannot be written down.
    #[error(transparent)]
    Write(MimeError),
    /// What an attachment holds was removed, for its time was over.
    #[error("an attachment was removed, for its time was over")]
    Removed,
}

/// Builds mails.
#[derive(Debug)]
pub struct Builder {
    renderer: Arc<Renderer>,
    large: Option<LargeMails>,
    signer: Signer,
}

impl Builder {
    /// One that renders.
    #[must_use]
    pub fn new(renderer: Arc<Renderer>) -> Self {
        Self {
            renderer,
            large: None,
            signer: Signer::default(),
        }
    }

    /// The same, signing mail of the domains that `signer` has keys of.
    #[must_use]
    pub fn with_dkim(self, signer: Signer) -> Self {
        Self { signer, ..self }
    }

    /// The same, reading what attachments hold, within a bound on memory.
    #[must_use]
    pub fn with_large_mails(self, large: LargeMails) -> Self {
        let large = Some(large);
        Self { large, ..self }
    }

    /// Builds a message. What its attachments hold is read into it, and is gone from it afterwards.
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn build(&self, message: &mut NewMessage) -> Result<Built, BuildError> {
        let mut room = match &self.large {
            Some(large) => large.load(message).await?,
            None => Room::default(),
        };
        let rendered = self.renderer.render(message).await?;
        let written = mime::write(message, &rendered).map_err(Unbuildable::Write)?;
        message.attachments.clear();
        // Last: whatever changed the bytes after this would break the signature.
        let at = message.due_at();
        let bytes = self.signer.sign(message.from.address(), at, written)?;
        room.built(bytes.len());
        Ok(Built { bytes, _room: room })
    }
}

#[async_trait]
impl WriteMail for Builder {
    async fn write(&self, mut message: NewMessage) -> Result<Vec<u8>, NotWritten> {
        let built = self.build(&mut message).await;
        built.map(Built::into_bytes).map_err(|error| match error {
            BuildError::NoRoom => NotWritten::NoRoom,
            BuildError::Store(error) => NotWritten::Store(error),
            BuildError::Sign(error) => NotWritten::Fault(error.into()),
            BuildError::Never(error) => NotWritten::Never(error.to_string()),
        })
    }
}

impl From<NotLoaded> for BuildError {
    fn from(error: NotLoaded) -> Self {
        match error {
            NotLoaded::NoRoom => Self::NoRoom,
            NotLoaded::Removed => Unbuildable::Removed.into(),
            NotLoaded::Store(error) => Self::Store(error),
        }
    }
}

impl From<RenderError> for BuildError {
    fn from(error: RenderError) -> Self {
        match error {
            RenderError::Store(error) => Self::Store(error),
            never => Unbuildable::Render(never).into(),
        }
    }
}

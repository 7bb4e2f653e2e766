//! Mail into a folder: as `<id>.eml`, which any mail program opens, with `<id>.json` for the envelope, or as a Maildir.
//!
//! A mail that is visible is complete and synced: it is written to a temporary file, synced and renamed. A resend
//! overwrites with equal bytes. Names come from our own ids only; files are for their owner alone.

mod layout;

use std::{
    fmt::Write,
    io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use posthaste_domain::delivery::{Class, Reply, Stage};
use serde::Serialize;

pub use self::layout::Layout;
use self::layout::Work;
use crate::{
    envelope::Envelope,
    transport::{Gate, Passing, Receipt, Scope, SendError, Transport, hash_of},
};

/// Captures mail in a folder.
#[derive(Debug)]
pub struct FileTransport {
    name: String,
    folder: PathBuf,
    layout: Layout,
}

/// The folder cannot be made or written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written", folder.display())]
pub struct FolderError {
    /// The folder.
    pub folder: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

#[derive(Serialize)]
struct StoredEnvelope<'a> {
    id: String,
    stream: &'a str,
    sender: &'a str,
    recipients: Vec<&'a str>,
}

impl FileTransport {
    /// A transport into `folder`, which is made if it is not there, and tried; mails lie in it as `.eml`.
    ///
    /// # Errors
    /// [`FolderError`] if nothing can be written there.
    pub fn open(name: &str, folder: &Path) -> Result<Self, FolderError> {
        Self::open_as(name, folder, Layout::Eml)
    }

    /// The same in another layout.
    ///
    /// # Errors
    /// [`FolderError`] if nothing can be written there.
    pub fn open_as(name: &str, folder: &Path, layout: Layout) -> Result<Self, FolderError> {
        let prepared = layout.prepare(folder);
        prepared.map_err(|source| FolderError {
            folder: folder.to_owned(),
            source,
        })?;
        Ok(Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            layout,
        })
    }
}

#[async_trait]
impl Transport for FileTransport {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
        gate: &Gate,
    ) -> Result<Receipt, SendError> {
        let failed = |scope, stage, text: &str| SendError {
            scope,
            reply: Reply::new(stage, Class::Transient, text),
            remote: Some(self.folder.display().to_string()),
            trail: None,
        };
        let recipients: Vec<_> = envelope.recipients.iter().collect();
        let passing = Passing {
            hash: hash_of(message),
            recipients: &recipients,
        };
        gate.open(passing)
            .await
            .map_err(|shut| failed(Scope::Gate, Stage::Body, &shut.to_string()))?;
        let name = envelope.id.to_string();
        let path = self.layout.place(&self.folder, &name);
        let work = Work {
            folder: self.folder.clone(),
            layout: self.layout,
            name,
            notes: notes(envelope),
            trace: trace(envelope),
            message: message.to_vec(),
        };
        // Off the runtime's threads. Once begun it runs to its end, whoever still waits: it leaves whole files or none.
        let written = tokio::task::spawn_blocking(move || work.run()).await;
        let written = written.unwrap_or_else(|_| Err(io::Error::other("the writing thread ended")));
        // A full disk says nothing about the mail.
        written.map_err(|error| failed(Scope::Transport, Stage::Connect, &error.to_string()))?;
        let taken = Reply::new(Stage::Dot, Class::Accepted, "captured");
        Ok(Receipt {
            replies: vec![taken; envelope.recipients.len()],
            remote: Some(path.display().to_string()),
            trail: None,
        })
    }
}

fn notes(envelope: &Envelope) -> Vec<u8> {
    let stored = StoredEnvelope {
        id: envelope.id.to_string(),
        stream: envelope.stream.as_str(),
        sender: envelope.sender.expose(),
        recipients: envelope
            .recipients
            .iter()
            .map(|recipient| recipient.expose())
            .collect(),
    };
    serde_json::to_vec_pretty(&stored).expect("texts and lists of texts are always JSON")
}

/// The envelope as a delivery agent writes it on top of a mail (RFC 5321 section 4.4).
fn trace(envelope: &Envelope) -> String {
    let mut trace = format!("Return-Path: <{}>\r\n", envelope.sender.expose());
    for recipient in &envelope.recipients {
        let line = writeln!(trace, "Delivered-To: {}\r", recipient.expose());
        line.expect("a text takes what is written");
    }
    trace
}

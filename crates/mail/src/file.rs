//! Mail into a folder: `<id>.eml`, which any mail program opens, and `<id>.json` with the envelope.
//!
//! A visible `.eml` is complete and synced, and so is the `.json` beside it: each is written to a temporary file, synced
//! and renamed, the envelope first. A resend overwrites with equal bytes. Names come from our own ids only; files are for
//! their owner alone.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use posthaste_domain::delivery::{Class, Reply, Stage};
use serde::Serialize;

use crate::{
    envelope::Envelope,
    transport::{Gate, Passing, Receipt, Scope, SendError, Transport, hash_of},
};

/// Captures mail in a folder.
#[derive(Debug)]
pub struct FileTransport {
    name: String,
    folder: PathBuf,
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
    /// A transport into `folder`, which is made if it is not there, and tried.
    ///
    /// # Errors
    /// [`FolderError`] if nothing can be written there.
    pub fn open(name: &str, folder: &Path) -> Result<Self, FolderError> {
        let failed = |source| FolderError {
            folder: folder.to_owned(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed)?;
        let trial = folder.join(format!(".{}.trial", std::process::id()));
        write_synced(&trial, b"")
            .and_then(|()| fs::remove_file(&trial))
            .map_err(failed)?;
        Ok(Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
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
        let path = self.folder.join(format!("{}.eml", envelope.id));
        let work = Work {
            folder: self.folder.clone(),
            name: envelope.id.to_string(),
            notes: notes(envelope),
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

/// One mail to be written.
struct Work {
    folder: PathBuf,
    name: String,
    notes: Vec<u8>,
    message: Vec<u8>,
}

impl Work {
    fn run(&self) -> io::Result<()> {
        self.put("json", &self.notes)?;
        self.put("eml", &self.message)
    }

    fn put(&self, kind: &str, content: &[u8]) -> io::Result<()> {
        let temporary = self.folder.join(format!(".{}.{kind}.tmp", self.name));
        write_synced(&temporary, content)?;
        fs::rename(
            &temporary,
            self.folder.join(format!("{}.{kind}", self.name)),
        )?;
        // The new name is on disk only when the folder is.
        File::open(&self.folder)?.sync_all()
    }
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

//! How a mail lies in a folder.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// How mails lie in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `<id>.eml`, the bytes as they would be sent, and `<id>.json` with the envelope.
    Eml,
    /// A Maildir, which mail programs read: the envelope stands in `Return-Path` and `Delivered-To` on top.
    Maildir,
}

/// One mail to be written.
pub(super) struct Work {
    pub(super) folder: PathBuf,
    pub(super) layout: Layout,
    pub(super) name: String,
    /// The envelope as JSON.
    pub(super) notes: Vec<u8>,
    /// The same as headers.
    pub(super) trace: String,
    pub(super) message: Vec<u8>,
}

impl Layout {
    /// Makes the folder, for its owner alone, and tries whether something can be written.
    pub(super) fn prepare(self, folder: &Path) -> io::Result<()> {
        let make = |folder: &Path| DirBuilder::new().recursive(true).mode(0o700).create(folder);
        make(folder)?;
        let trial = match self {
            Self::Eml => folder.to_owned(),
            Self::Maildir => {
                for part in ["new", "cur", "tmp"] {
                    make(&folder.join(part))?;
                }
                folder.join("tmp")
            }
        };
        let trial = trial.join(format!(".{}.trial", std::process::id()));
        write_synced(&trial, &[b""])?;
        fs::remove_file(&trial)
    }

    /// Where a mail comes to lie.
    pub(super) fn place(self, folder: &Path, name: &str) -> PathBuf {
        match self {
            Self::Eml => folder.join(format!("{name}.eml")),
            Self::Maildir => folder.join("new").join(name),
        }
    }
}

impl Work {
    /// Leaves whole files or none.
    pub(super) fn run(&self) -> io::Result<()> {
        match self.layout {
            Layout::Eml => {
                self.put("json", &self.notes)?;
                self.put("eml", &self.message)
            }
            Layout::Maildir => self.deliver(),
        }
    }

    fn put(&self, kind: &str, content: &[u8]) -> io::Result<()> {
        let name = format!("{}.{kind}", self.name);
        let temporary = self.folder.join(format!(".{name}.tmp"));
        renamed(&temporary, &self.folder, &name, &[content])
    }

    /// A mail that a reader has moved to `cur` is not delivered once more: it has the same name there, with flags behind
    /// a colon.
    fn deliver(&self) -> io::Result<()> {
        let seen = format!("{}:", self.name);
        for entry in fs::read_dir(self.folder.join("cur"))? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&seen) || name == self.name.as_str() {
                return Ok(());
            }
        }
        let temporary = self.folder.join("tmp").join(&self.name);
        let content = [self.trace.as_bytes(), &self.message];
        renamed(&temporary, &self.folder.join("new"), &self.name, &content)
    }
}

fn renamed(temporary: &Path, folder: &Path, name: &str, content: &[&[u8]]) -> io::Result<()> {
    let written = write_synced(temporary, content);
    let renamed = written.and_then(|()| fs::rename(temporary, folder.join(name)));
    if let Err(error) = renamed {
        // What is half there is of no use; that it could not be removed either is not the news.
        fs::remove_file(temporary).ok();
        return Err(error);
    }
    // The new name is on disk only when the folder is.
    File::open(folder)?.sync_all()
}

fn write_synced(path: &Path, content: &[&[u8]]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    for piece in content {
        file.write_all(piece)?;
    }
    file.sync_all()
}

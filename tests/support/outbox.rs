//! The folder in which the file transport leaves mail, read with another parser than the one that wrote it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use mail_parser::{Address, MessageParser};

use super::eventually::eventually;

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Outbox(PathBuf);

/// A mail in it.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Its bytes.
    pub(crate) raw: Vec<u8>,
    /// The `Message-ID`, without the angle brackets.
    pub(crate) message_id: String,
    /// The name in `From`, decoded; empty where there is none.
    pub(crate) sender_name: String,
    /// The addresses in `To`.
    pub(crate) to: Vec<String>,
    /// The subject, decoded.
    pub(crate) subject: String,
    /// The text part, decoded; empty where there is none.
    pub(crate) text: String,
    /// The HTML part, decoded; empty where there is none.
    pub(crate) html: String,
}

impl Outbox {
    /// The outbox at `folder`, which need not exist yet.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Every `.eml` file, in the order of names. A name must appear only when its file is whole, so each must parse.
    #[track_caller]
    pub(crate) fn letters(&self) -> Vec<Letter> {
        let Ok(entries) = fs::read_dir(&self.0) else {
            return Vec::new();
        };
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.expect("the outbox is readable").path())
            .collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
        paths.sort();
        paths.iter().map(|path| Letter::read(path)).collect()
    }

    /// Waits for the first mail to `address`.
    #[track_caller]
    pub(crate) fn await_letter(&self, address: &str, within: Duration) -> Letter {
        let to = |letter: &Letter| letter.to.iter().any(|to| to == address);
        eventually(&format!("a mail to {address}"), within, || {
            self.letters().into_iter().find(to)
        })
    }
}

impl Letter {
    /// Reads and parses the file at `path`.
    #[track_caller]
    pub(crate) fn read(path: &Path) -> Self {
        let raw = fs::read(path).expect("a mail in the outbox is readable");
        let message = MessageParser::default()
            .parse(&raw)
            .unwrap_or_else(|| panic!("no mail: {}", path.display()));
        let sender = message.from().and_then(Address::first);
        let addresses = message.to().into_iter().flat_map(Address::iter);
        Self {
            path: path.to_owned(),
            message_id: message.message_id().unwrap_or_default().to_owned(),
            sender_name: sender
                .and_then(|sender| sender.name())
                .unwrap_or_default()
                .to_owned(),
            to: addresses
                .filter_map(|address| address.address().map(str::to_owned))
                .collect(),
            subject: message.subject().unwrap_or_default().to_owned(),
            text: message.body_text(0).unwrap_or_default().into_owned(),
            html: message.body_html(0).unwrap_or_default().into_owned(),
            raw,
        }
    }

    /// The first link in its text that contains `part`.
    #[track_caller]
    pub(crate) fn link(&self, part: &str) -> &str {
        let mut words = self.text.split_whitespace();
        let link = words.find(|word| word.starts_with("http") && word.contains(part));
        link.unwrap_or_else(|| panic!("no link with {part} in:\n{}", self.text))
    }
}

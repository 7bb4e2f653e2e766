//! The contract, on every backend.

use async_trait::async_trait;
use posthaste_mail::{
    FileTransport, MemoryTransport, SmtpTransport, Transport,
    contract::{self, Peer},
    file::Layout,
};

use crate::server::Server;

struct Memory(MemoryTransport);

#[async_trait]
impl Peer for Memory {
    fn transport(&self) -> &dyn Transport {
        &self.0
    }

    async fn arrived(&self) -> Vec<(Vec<String>, Vec<u8>)> {
        let recipients = |sent: &posthaste_mail::memory::SentMail| {
            sent.envelope
                .recipients
                .iter()
                .map(|to| to.expose().to_owned())
                .collect()
        };
        self.0
            .sent()
            .into_iter()
            .map(|sent| (recipients(&sent), sent.message))
            .collect()
    }
}

struct Folder(FileTransport, tempfile::TempDir);

#[async_trait]
impl Peer for Folder {
    fn transport(&self) -> &dyn Transport {
        &self.0
    }

    async fn arrived(&self) -> Vec<(Vec<String>, Vec<u8>)> {
        let mut mails = Vec::new();
        for entry in std::fs::read_dir(self.1.path()).expect("the folder is there") {
            let path = entry.expect("it can be read").path();
            if path.extension().is_some_and(|kind| kind == "eml") {
                let notes = std::fs::read(path.with_extension("json"))
                    .expect("the envelope is there before the mail");
                let notes: serde_json::Value =
                    serde_json::from_slice(&notes).expect("the envelope is whole");
                let to = notes["recipients"].as_array().expect("a list").iter();
                let to = to
                    .map(|to| to.as_str().expect("a text").to_owned())
                    .collect();
                mails.push((to, std::fs::read(&path).expect("the mail is there")));
            }
        }
        mails
    }
}

struct Maildir(FileTransport, tempfile::TempDir);

#[async_trait]
impl Peer for Maildir {
    fn transport(&self) -> &dyn Transport {
        &self.0
    }

    async fn arrived(&self) -> Vec<(Vec<String>, Vec<u8>)> {
        let mut mails = Vec::new();
        for entry in std::fs::read_dir(self.1.path().join("new")).expect("the folder is there") {
            let path = entry.expect("it can be read").path();
            let mail = std::fs::read(path).expect("the mail is there");
            let (mut to, mut rest) = (Vec::new(), mail.as_slice());
            while rest.starts_with(b"Return-Path: ") || rest.starts_with(b"Delivered-To: ") {
                let end = rest.iter().position(|byte| *byte == b'\n').expect("a line");
                let line = std::str::from_utf8(&rest[..end]).expect("text").trim_end();
                to.extend(line.strip_prefix("Delivered-To: ").map(str::to_owned));
                rest = &rest[end + 1..];
            }
            mails.push((to, rest.to_vec()));
        }
        mails
    }
}

struct Smtp(SmtpTransport, Server);

#[async_trait]
impl Peer for Smtp {
    fn transport(&self) -> &dyn Transport {
        &self.0
    }

    async fn arrived(&self) -> Vec<(Vec<String>, Vec<u8>)> {
        self.1.arrived()
    }
}

#[tokio::test]
async fn memory_passes_the_contract() {
    contract::run_all(|| async { Memory(MemoryTransport::new("memory")) }).await;
}

#[tokio::test]
async fn a_folder_passes_the_contract() {
    contract::run_all(|| async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Folder(
            FileTransport::open("capture", folder.path()).expect("it can be written"),
            folder,
        )
    })
    .await;
}

#[tokio::test]
async fn a_maildir_passes_the_contract() {
    contract::run_all(|| async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let opened = FileTransport::open_as("capture", folder.path(), Layout::Maildir);
        Maildir(opened.expect("it can be written"), folder)
    })
    .await;
}

/// A mail that was read meanwhile, and so moved, is not delivered again by a second attempt.
#[tokio::test]
async fn a_maildir_has_one_copy_of_a_mail_that_was_sent_twice() {
    let folder = tempfile::tempdir().unwrap();
    let transport = FileTransport::open_as("capture", folder.path(), Layout::Maildir).unwrap();
    let names = |part: &str| {
        let entries = std::fs::read_dir(folder.path().join(part)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<Vec<_>>()
    };
    let mail = one_mail();
    let send = || async {
        let sent = transport.send(&mail, b"Subject: x\r\n\r\nx\r\n", &posthaste_mail::OpenGate);
        sent.await.unwrap()
    };
    send().await;
    send().await;
    let new = names("new");
    assert_eq!(new.len(), 1, "{new:?}");
    let read = folder.path().join("cur").join(format!("{}:2,S", new[0]));
    std::fs::rename(folder.path().join("new").join(&new[0]), read).unwrap();
    send().await;
    assert_eq!(
        (names("new").len(), names("cur").len(), names("tmp").len()),
        (0, 1, 0)
    );
}

/// Nothing half-written stays where the disk is full, and the mail is not to blame.
#[tokio::test]
async fn a_folder_that_cannot_be_written_any_more_blames_the_way_and_leaves_nothing() {
    for layout in [Layout::Eml, Layout::Maildir] {
        let folder = tempfile::tempdir().unwrap();
        let transport = FileTransport::open_as("capture", folder.path(), layout).unwrap();
        // A folder stands where the temporary file would: no file can be made there, whoever asks.
        let id = one_mail().id;
        let (blocked, visible) = match layout {
            Layout::Eml => (format!(".{id}.eml.tmp"), format!("{id}.eml")),
            Layout::Maildir => (format!("tmp/{id}"), format!("new/{id}")),
        };
        std::fs::create_dir(folder.path().join(blocked)).unwrap();
        let sent = transport
            .send(&one_mail(), b"x\r\n", &posthaste_mail::OpenGate)
            .await;
        let error = sent.unwrap_err();
        assert_eq!(error.scope, posthaste_mail::Scope::Transport, "{layout:?}");
        assert!(!folder.path().join(visible).exists());
    }
}

fn one_mail() -> posthaste_mail::Envelope {
    posthaste_mail::Envelope {
        id: "0199a5f0-0000-7000-8000-000000000001"
            .parse()
            .expect("sound"),
        sender: "a@b.c".parse().expect("sound"),
        recipients: vec!["x@y.z".parse().expect("sound")],
        stream: "otp".parse().expect("sound"),
        stay_with: None,
    }
}

#[tokio::test]
async fn smtp_passes_the_contract() {
    contract::run_all(|| async {
        let server = Server::start().await;
        let mut config = server.config();
        // A loaded machine may be slow; this server is not silent.
        config.timeouts.body = std::time::Duration::from_secs(30);
        config.timeouts.dot = std::time::Duration::from_secs(30);
        config.timeouts.envelope = std::time::Duration::from_secs(30);
        Smtp(
            SmtpTransport::new("relay", config).expect("a sound configuration"),
            server,
        )
    })
    .await;
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = FileTransport::open("capture", &file.join("mail")).unwrap_err();
    assert!(error.to_string().contains("file/mail"), "{error}");
}

#[tokio::test]
async fn captured_mail_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("mail");
    let transport = FileTransport::open("capture", &below).unwrap();
    let envelope = posthaste_mail::Envelope {
        id: "0199a5f0-0000-7000-8000-000000000001".parse().unwrap(),
        sender: "a@b.c".parse().unwrap(),
        recipients: vec!["x@y.z".parse().unwrap()],
        stream: "otp".parse().unwrap(),
        stay_with: None,
    };
    transport
        .send(&envelope, b"x\r\n", &posthaste_mail::OpenGate)
        .await
        .unwrap();
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&below), 0o700);
    let mut names: Vec<_> = std::fs::read_dir(&below)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    assert!(names.iter().all(|path| mode(path) == 0o600));
    let names: Vec<_> = names
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap())
        .collect();
    let id = envelope.id;
    assert_eq!(
        names,
        [format!("{id}.eml"), format!("{id}.json")],
        "no temporary file is left"
    );
}

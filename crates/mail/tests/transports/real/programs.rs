//! Servers that keep what they take in a folder.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use async_trait::async_trait;
use tempfile::TempDir;

use super::{Arrived, Real, SECOND, await_listener, free_port};
use crate::support::{lines::Lines, sink::Sink, tools};

/// Python's.
pub(super) struct Aiosmtpd(Sink);

impl Aiosmtpd {
    pub(super) fn is_there() -> bool {
        tools::python().is_some()
    }

    pub(super) fn start() -> Self {
        Self(Sink::start().expect("it is there"))
    }
}

#[async_trait]
impl Real for Aiosmtpd {
    fn port(&self) -> u16 {
        self.0.port()
    }

    async fn arrived(&self) -> Vec<Arrived> {
        let mut mails: Vec<(String, Arrived)> = Vec::new();
        for copy in self.0.history() {
            match mails.iter_mut().find(|(file, _)| *file == copy.file) {
                Some((_, (to, _))) => to.push(copy.recipient),
                None => {
                    let bytes = self.0.raw(&copy);
                    mails.push((copy.file, (vec![copy.recipient], bytes)));
                }
            }
        }
        mails.into_iter().map(|(_, mail)| mail).collect()
    }
}

/// A program with a folder, which ends with the value.
struct Running {
    child: Child,
    folder: TempDir,
}

impl Running {
    fn spawn(command: &mut Command, folder: TempDir) -> Self {
        let child = command
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it was asked for before");
        Self { child, folder }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _already_gone = self.child.wait();
    }
}

/// Postfix's test server: every mail into a file, behind lines that tell of its envelope.
pub(super) struct SmtpSink(Running, u16);

impl SmtpSink {
    pub(super) fn is_there() -> bool {
        tools::smtp_sink().is_some()
    }

    pub(super) async fn start() -> Self {
        let program = tools::smtp_sink().expect("it is there");
        let folder = TempDir::with_prefix("smtp-sink-").expect("a temporary folder");
        let everybody = fs::Permissions::from_mode(0o777);
        fs::set_permissions(folder.path(), everybody).expect("it is ours");
        let port = free_port();
        let mut command = Command::new(program);
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        command.args(["-d", "%s.", &format!("127.0.0.1:{port}"), "100"]);
        let running = Running::spawn(&mut command, folder);
        await_listener(port).await;
        Self(running, port)
    }
}

#[async_trait]
impl Real for SmtpSink {
    fn port(&self) -> u16 {
        self.1
    }

    async fn arrived(&self) -> Vec<Arrived> {
        let mut mails = Vec::new();
        for entry in fs::read_dir(self.0.folder.path()).expect("the folder is there") {
            let bytes = fs::read(entry.expect("it can be read").path()).expect("ours");
            mails.extend(dumped(&bytes));
        }
        mails
    }
}

/// A file of smtp-sink: it has line ends of UNIX, and an empty line behind a mail that was taken.
fn dumped(bytes: &[u8]) -> Option<Arrived> {
    let text = String::from_utf8(bytes.to_vec()).expect("the cases are ASCII");
    let (mut to, mut rest) = (Vec::new(), text.as_str());
    while rest.starts_with("X-") || rest.starts_with("Received:") || rest.starts_with('\t') {
        let (line, after) = rest.split_once('\n')?;
        let recipient = line.strip_prefix("X-Rcpt-Args: <");
        to.extend(
            recipient
                .and_then(|args| args.strip_suffix('>'))
                .map(str::to_owned),
        );
        rest = after;
    }
    let mail = rest.strip_suffix("\n\n")?;
    Some((to, format!("{mail}\n").replace('\n', "\r\n").into_bytes()))
}

/// npm's smtp-server.
pub(super) struct SmtpServer(Running, u16);

impl SmtpServer {
    pub(super) fn is_there() -> bool {
        tools::node("smtp-server").is_some()
    }

    pub(super) fn start() -> Self {
        let node = tools::node("smtp-server").expect("it is there");
        let folder = TempDir::with_prefix("smtp-server-").expect("a temporary folder");
        let mut command = Command::new(node);
        command
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../tests/support/smtp-server.mjs"
            ))
            .arg(folder.path());
        let mut running = Running::spawn(&mut command, folder);
        let printed = Lines::of(running.child.stdout.take().expect("it is piped"));
        let port = |line: &str| line.strip_prefix("listening ")?.parse().ok();
        let port = printed.find(20 * SECOND, port).expect("it listens");
        Self(running, port)
    }
}

#[async_trait]
impl Real for SmtpServer {
    fn port(&self) -> u16 {
        self.1
    }

    async fn arrived(&self) -> Vec<Arrived> {
        let entries = fs::read_dir(self.0.folder.path()).expect("the folder is there");
        let paths = entries.map(|entry| entry.expect("it can be read").path());
        let whole = paths.filter(|path| path.extension().is_some());
        whole.map(|path| kept(&path)).collect()
    }
}

/// A file of `smtp-server.mjs`.
fn kept(path: &Path) -> Arrived {
    let text = fs::read_to_string(path).expect("the cases are ASCII");
    let (to, mail) = text.split_once("\n\n").expect("an empty line");
    let to = to.lines().map(str::to_owned).collect();
    (to, mail.as_bytes().to_vec())
}

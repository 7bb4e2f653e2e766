//! A real SMTP server, aiosmtpd, as a process beside the test: it keeps what it took and answers as it is told.

use std::{
    fs,
    io::ErrorKind,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{lines::Lines, tools};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/support/sink.py");

/// Longest wait for Python to start and listen.
const START: Duration = Duration::from_secs(20);

/// The server. It is gone when the value goes, or when the test process is.
#[derive(Debug)]
pub(crate) struct Sink {
    python: &'static str,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
    script: Value,
}

/// A copy of a mail that the server took for one recipient: it said 250 after the final dot.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Taken {
    /// The `Message-ID` header, with its angle brackets.
    pub(crate) message_id: String,
    /// The envelope recipient.
    pub(crate) recipient: String,
    /// SHA-256 of the bytes, in hex.
    pub(crate) sha256: String,
    /// The envelope sender.
    pub(crate) sender: String,
    /// The file of the bytes; see [`Sink::raw`].
    pub(crate) file: String,
}

/// How the server answers a recipient, or the final dot of a mail to that recipient before or after it takes the mail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// With this reply, `451 4.7.1 later`.
    Say(&'static str),
    /// With this reply, after a while.
    Late(Duration, &'static str),
    /// By closing the connection.
    HangUp,
}

/// What is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    /// RCPT TO.
    Recipient,
    /// The final dot of DATA. Only a 2xx reply takes the mail.
    Dot,
    /// The final dot, but the mail is taken first, whatever the reply.
    Taken,
}

impl Sink {
    /// Starts a server on a port that the system chooses. None where this machine lacks the means: skip the test then.
    #[track_caller]
    pub(crate) fn start() -> Option<Self> {
        let python = tools::python()?;
        let folder =
            TempDir::with_prefix("sink-").expect("the folder for temporary files is writable");
        let mut sink = Self {
            python,
            folder,
            port: 0,
            child: None,
            script: json!({}),
        };
        sink.resume();
        Some(sink)
    }

    /// The port, the same over every stop and start.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends the server; connections break off and new ones are refused.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our own child may be killed");
            child.wait().expect("our own child can be waited for");
        }
    }

    /// Starts it again on its port, with the script from its beginning. What it took before is kept.
    #[track_caller]
    pub(crate) fn resume(&mut self) {
        self.stop();
        let mut command = Command::new(self.python);
        command
            .arg(SCRIPT)
            .arg(self.port.to_string())
            .arg(self.folder.path());
        // The server ends when its input does, so it does not outlive a test that is killed.
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = self
            .child
            .insert(command.spawn().expect("Python was started before"));
        let stdout = Lines::of(child.stdout.take().expect("the output is piped"));
        let stderr = Lines::of(child.stderr.take().expect("the output is piped"));
        let port = stdout.find(START, |line| line.strip_prefix("listening ")?.parse().ok());
        self.port =
            port.unwrap_or_else(|| panic!("the SMTP server did not start:\n{}", stderr.text()));
    }

    /// Answers `recipient`, or with `*` all that are not named, at `stage` with these in turn; the last one is repeated.
    /// Holds from the next command on.
    pub(crate) fn answer(&mut self, stage: Stage, recipient: &str, answers: &[Answer]) {
        let stage = match stage {
            Stage::Recipient => "recipient",
            Stage::Dot => "dot",
            Stage::Taken => "taken",
        };
        self.script[stage][recipient] = answers.iter().copied().map(Answer::to_json).collect();
        let written = self.folder.path().join("script.new");
        fs::write(&written, self.script.to_string()).expect("the sink's folder is writable");
        fs::rename(&written, self.folder.path().join("script.json"))
            .expect("the sink's folder is writable");
    }

    /// Every copy taken, in order.
    pub(crate) fn history(&self) -> Vec<Taken> {
        let lines = self.read("history.jsonl");
        let parse =
            |line| serde_json::from_slice(line).expect("the sink writes whole lines of JSON");
        // The last one may be under way: a line across two pages of the file is seen page by page.
        let whole = lines.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        lines[..whole]
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(parse)
            .collect()
    }

    /// The bytes of a copy: the mail as it was before dots were doubled.
    pub(crate) fn raw(&self, taken: &Taken) -> Vec<u8> {
        self.read(&taken.file)
    }

    /// Every byte that clients sent, as it arrived: commands, doubled dots and line ends as they were on the wire.
    pub(crate) fn wire(&self) -> Vec<u8> {
        self.read("wire.bin")
    }

    fn read(&self, file: &str) -> Vec<u8> {
        match fs::read(self.folder.path().join(file)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            bytes => bytes.expect("the sink's folder is readable"),
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Answer {
    fn to_json(self) -> Value {
        match self {
            Self::Say(reply) => json!({ "reply": reply, "after": 0 }),
            Self::Late(after, reply) => json!({ "reply": reply, "after": after.as_secs_f64() }),
            Self::HangUp => json!({ "reply": null, "after": 0 }),
        }
    }
}

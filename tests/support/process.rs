//! One running `posthaste serve`, watched and ended from outside.

use std::{
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{eventually::eventually, http::Client, lines::Lines};

/// Longest wait for the line that says where the program listens. Migrations of an empty database are in it, and other
/// tests on the same two cores.
const START: Duration = Duration::from_secs(30);

/// A process. Killed, if it still runs, when the value goes.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    address: Option<SocketAddr>,
}

impl Process {
    /// Starts `command` with both outputs collected and nothing on its input.
    pub(crate) fn spawn(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary can be started");
        let stdout = Lines::of(child.stdout.take().expect("the output is piped"));
        let stderr = Lines::of(child.stderr.take().expect("the output is piped"));
        Self {
            child,
            stdout,
            stderr,
            address: None,
        }
    }

    /// Waits for the log line `listening` and keeps the address it names.
    #[track_caller]
    pub(crate) fn await_listening(&mut self) {
        let line = self.stderr.find(START, |line| {
            entry(line).filter(|entry| message(entry) == "listening")
        });
        let address = line
            .as_ref()
            .and_then(|line| field(line, "address")?.as_str()?.parse().ok());
        assert!(
            address.is_some(),
            "no line says where it listens; {}",
            self.story()
        );
        self.address = address;
    }

    /// A client for its API, without a key. Only once it listens.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::new(
            self.address
                .expect("the process was started with `Desk::start`"),
        )
    }

    /// Asks for an orderly stop: SIGTERM.
    pub(crate) fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Presses Ctrl-C: SIGINT.
    pub(crate) fn interrupt(&mut self) {
        self.signal(Signal::INT);
    }

    /// Ends it on the spot, SIGKILL, and waits until it is gone with its locks and sockets.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait(Duration::from_secs(10));
    }

    /// Waits for its end, or fails the test after `within`.
    #[track_caller]
    pub(crate) fn wait(&mut self, within: Duration) -> ExitStatus {
        eventually("the process ends", within, || {
            self.child
                .try_wait()
                .expect("our own child can be waited for")
        })
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        let ended = self.child.try_wait();
        ended.expect("our own child can be waited for").is_none()
    }

    /// Waits for a log entry that `pick` finds something in, among those already written too.
    #[track_caller]
    pub(crate) fn await_log<T>(
        &self,
        what: &str,
        within: Duration,
        mut pick: impl FnMut(&Value) -> Option<T>,
    ) -> T {
        let found = self.stderr.find(within, |line| pick(&entry(line)?));
        found
            .unwrap_or_else(|| panic!("not in the log within {within:?}: {what}; {}", self.story()))
    }

    /// Every log entry so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.stderr.text().lines().filter_map(entry).collect()
    }

    /// What it wrote to standard output, whole once it has ended.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it wrote to standard error, whole once it has ended.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// The process id, for tools that look at it from outside.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn signal(&mut self, signal: Signal) {
        // A child that has ended keeps its id until it is waited for, and only we wait: the id is never another's.
        if self
            .child
            .try_wait()
            .expect("our own child can be waited for")
            .is_none()
        {
            kill_process(Pid::from_child(&self.child), signal)
                .expect("our own child may be signalled");
        }
    }

    fn story(&self) -> String {
        format!("stdout:\n{}\nstderr:\n{}", self.stdout(), self.stderr())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where the process is gone already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The message of a log entry.
pub(crate) fn message(entry: &Value) -> &str {
    field(entry, "message")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A field of a log entry.
pub(crate) fn field<'a>(entry: &'a Value, name: &str) -> Option<&'a Value> {
    entry.get("fields")?.get(name)
}

fn entry(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}

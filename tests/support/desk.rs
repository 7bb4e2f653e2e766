//! An installation of Posthaste in a folder of its own: settings, data and captured mail, over any number of starts.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

use super::{outbox::Outbox, process::Process, sink::Sink};

/// The binary that this test run has built.
const BINARY: &str = env!("CARGO_BIN_EXE_posthaste");

/// An installation. The folder goes when the value does; a process started from it must be gone by then.
#[derive(Debug)]
pub(crate) struct Desk {
    folder: TempDir,
    environment: BTreeMap<String, OsString>,
    before: Vec<OsString>,
}

impl Desk {
    /// A fresh installation on the defaults of development, with a port that the system chooses.
    pub(crate) fn new() -> Self {
        let folder =
            TempDir::with_prefix("posthaste-").expect("the folder for temporary files is writable");
        let desk = Self {
            folder,
            environment: BTreeMap::new(),
            before: Vec::new(),
        };
        desk.set("http.port", "0")
    }

    /// The same with a transport `relay` to `sink`, by which the stream `transactional` sends.
    pub(crate) fn sending_to(sink: &Sink) -> Self {
        Self::new()
            .set("transports.relay.kind", "smtp")
            .set("transports.relay.host", "127.0.0.1")
            .set("transports.relay.port", sink.port().to_string())
            .set("transports.relay.tls", "none")
            .set("streams.transactional.transport", "relay")
    }

    /// As one of several nodes on a PostgreSQL database, with its part of the work.
    pub(crate) fn on(self, database: &str, roles: &str) -> Self {
        self.set("database.url", database)
            .set("database.secret_key", "5e".repeat(32))
            .set("roles", roles)
    }

    /// Sets a key of the configuration, `transports.relay.host`, by its environment variable.
    pub(crate) fn set(self, key: &str, value: impl Into<OsString>) -> Self {
        let variable = format!("POSTHASTE__{}", key.to_uppercase().replace('.', "__"));
        self.variable(&variable, value)
    }

    /// Sets an environment variable. Nothing else of the test's own environment but `PATH` reaches the program.
    pub(crate) fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Starts the program under another one, which must replace itself by it or trace it from aside, so that signals
    /// and the exit code stay the program's own: `["strace", "-D", "-f", ..]`.
    pub(crate) fn under(mut self, words: &[&str]) -> Self {
        self.before = words.iter().map(OsString::from).collect();
        self
    }

    /// The working directory of the program.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path below [`Self::folder`].
    pub(crate) fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.folder().join(below)
    }

    /// The mail captured by the file transport of development.
    pub(crate) fn outbox(&self) -> Outbox {
        Outbox::new(self.path(".posthaste/mail"))
    }

    /// Starts `posthaste serve` and returns once it listens.
    #[track_caller]
    pub(crate) fn start(&self) -> Process {
        let mut process = self.launch();
        process.await_listening();
        process
    }

    /// Starts `posthaste serve` and returns at once: for starts that are to fail, or to be killed early.
    pub(crate) fn launch(&self) -> Process {
        Process::spawn(self.command(&["serve"]))
    }

    /// Runs a command to its end and returns its output and exit code.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the binary can be started")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut words = self.before.iter().cloned().chain([BINARY.into()]);
        let mut command = Command::new(words.next().expect("at least the binary itself"));
        command
            .args(words)
            .args(arguments)
            .current_dir(self.folder())
            .env_clear();
        command
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(&self.environment);
        command
    }
}

//! PostgreSQL: a database of the test's own on the server of the test run, or a whole server that a test may end.

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use super::{
    eventually::eventually,
    figures::{is_set, variable},
    tools,
};

/// Longest wait for a server to start, with a recovery in it, or to end.
const TURN: Duration = Duration::from_secs(60);

/// A new database on the server of the test run; none without one, and the test is skipped then.
pub(crate) fn new_database() -> Option<String> {
    let Some(server) = variable("TEST_DATABASE_URL") else {
        assert!(
            !is_set("CI"),
            "TEST_DATABASE_URL is not set: tests/run starts a PostgreSQL server"
        );
        return None;
    };
    Some(new_database_on(&server))
}

fn new_database_on(server: &str) -> String {
    let name = format!("e{}", uuid::Uuid::new_v4().simple());
    ask(
        &format!("{server}/postgres"),
        &format!("CREATE DATABASE {name}"),
    );
    format!("{server}/{name}")
}

/// Runs statements and gives what they tell, a line for each row with `|` between its columns.
#[track_caller]
pub(crate) fn ask(database: &str, sql: &str) -> String {
    let told =
        output(Command::new("psql").args([database, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", sql]));
    told.trim_end().to_owned()
}

/// Runs one of the server's programs to its end, which must be good.
#[track_caller]
fn output(command: &mut Command) -> String {
    let ended = command
        .output()
        .expect("the programs of the server are here");
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    String::from_utf8(ended.stdout).expect("the database speaks UTF-8")
}

/// A server of the test's own. It is gone when the value goes, or when the test process is.
#[derive(Debug)]
pub(crate) struct Server {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

/// How a server is ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shutdown {
    /// Connections are ended, and what is committed is written back.
    Fast,
    /// On the spot; the next start recovers from the log.
    Immediate,
}

impl Server {
    /// Starts a server on the settings it comes with: what is promised to be on disk must be. None where this machine
    /// lacks the means: skip the test then.
    pub(crate) fn start() -> Option<Self> {
        let programs = tools::postgres()?;
        let folder = TempDir::with_prefix("posthaste-postgres-")
            .expect("the folder for temporary files is writable");
        if geteuid().is_root() {
            // The server refuses to run as root.
            let given = Command::new("chown")
                .arg("postgres")
                .arg(folder.path())
                .status();
            assert!(given.is_ok_and(|status| status.success()), "no user");
        }
        let mut server = Self {
            programs,
            folder,
            port: free_port(),
            child: None,
        };
        let made = ["-U", "postgres", "--auth", "trust", "--no-sync"];
        output(server.program("initdb").args(made));
        server.resume();
        Some(server)
    }

    /// A new database on it.
    pub(crate) fn new_database(&self) -> String {
        new_database_on(&self.url())
    }

    /// Ends the server and waits until it is gone.
    pub(crate) fn stop(&mut self, how: Shutdown) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let signal = match how {
            Shutdown::Fast => Signal::INT,
            Shutdown::Immediate => Signal::QUIT,
        };
        kill_process(Pid::from_child(&child), signal).expect("our own child may be signalled");
        eventually("the database ends", TURN, || {
            child.try_wait().expect("our own child can be waited for")
        });
    }

    /// Starts it again on its port and its data, and returns once it answers.
    pub(crate) fn resume(&mut self) {
        let log = self.folder.path().join("log");
        let log = fs::File::options().create(true).append(true).open(log);
        let log = log.expect("the server's folder is writable");
        let child = self
            .program("postgres")
            .args(["-p", &self.port.to_string(), "-k"])
            .arg(self.folder.path())
            .args(["-c", "listen_addresses=127.0.0.1"])
            .stderr(log)
            .spawn()
            .expect("the server was found");
        self.child = Some(child);
        eventually("the database answers", TURN, || {
            let asked = Command::new("psql")
                .arg(format!("{}/postgres", self.url()))
                .args(["-qAtX", "-c", "SELECT 1"])
                .stderr(Stdio::null())
                .stdout(Stdio::null())
                .status();
            asked
                .expect("psql comes with the server")
                .success()
                .then_some(())
        });
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}", self.port)
    }

    /// One of its programs on its data, as a user without rights, and not for longer than the test runs.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new("setpriv");
        if geteuid().is_root() {
            command.args(["--reuid", "postgres", "--regid", "postgres"]);
            command.arg("--clear-groups");
        }
        command
            .args(["--pdeathsig", "QUIT"])
            .arg(self.programs.join(name))
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(Shutdown::Immediate);
    }
}

/// A port that stays ours while the server is away: the system gives connections that go out none of these, and a client
/// that tries again and again must not meet itself there.
fn free_port() -> u16 {
    let drawn = std::iter::repeat_with(|| {
        let [high, low, ..] = *uuid::Uuid::new_v4().as_bytes();
        20_000 + u16::from_be_bytes([high, low]) % 10_000
    });
    drawn
        .take(1000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("one in ten thousand ports is free")
}

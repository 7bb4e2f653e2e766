//! Programs that a test needs and this machine may lack. `tests/run` installs them.
//!
//! A missing one skips the test, loudly, at a desk; where the variable `CI` is set it fails the test, because nobody
//! reads a skipped line there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::figures::{is_set, variable};

/// Where a Python with the tests' packages is looked for, in the order of `tests/run`.
const PYTHONS: &[&str] = &[
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/.venv/bin/python3"),
    "python3",
    "/usr/bin/python3",
];

/// A Python that has aiosmtpd.
pub(crate) fn python() -> Option<&'static str> {
    or_skip("a Python with aiosmtpd", python_with("import aiosmtpd"))
}

/// A Python that verifies signatures of both kinds.
pub(crate) fn verifier() -> Option<&'static str> {
    let found = python_with("import dkim, nacl.signing");
    or_skip("a Python with dkimpy and PyNaCl", found)
}

/// A Python with the published client of the API whose shape ours has.
pub(crate) fn resend() -> Option<&'static str> {
    or_skip("a Python with resend", python_with("import resend"))
}

/// The published client for Rust, in a package of its own that `tests/run` builds.
pub(crate) fn rust_client() -> Option<String> {
    let found = variable("POSTHASTE_TEST_RUST_CLIENT");
    or_skip("the client for Rust (tests/run builds it)", found)
}

fn python_with(import: &str) -> Option<&'static str> {
    let mut pythons = PYTHONS.iter().copied();
    pythons.find(|python| succeeds(python, &["-c", import]))
}

/// Another verifier of signatures, which Debian keeps beside the programs of the system.
pub(crate) fn opendkim() -> Option<&'static str> {
    let mut places = ["opendkim", "/usr/sbin/opendkim"].into_iter();
    or_skip("opendkim", places.find(|place| succeeds(place, &["-V"])))
}

/// Postfix: takes root, for it runs its parts as others.
pub(crate) fn postfix() -> Option<&'static str> {
    let there = Path::new("/usr/sbin/postfix").is_file();
    let found = (there && rustix::process::geteuid().is_root()).then_some("/usr/sbin/postfix");
    or_skip("Postfix, or the right to start it (root)", found)
}

/// The test server that comes with Postfix.
pub(crate) fn smtp_sink() -> Option<&'static str> {
    let found = Path::new("/usr/sbin/smtp-sink");
    or_skip(
        "smtp-sink",
        found.is_file().then_some("/usr/sbin/smtp-sink"),
    )
}

/// A Node that finds this package of npm.
pub(crate) fn node(package: &str) -> Option<&'static str> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/node_modules/");
    let there = Path::new(folder).join(package).is_dir() && succeeds("node", &["--version"]);
    or_skip(
        &format!("Node.js with the package {package}"),
        there.then_some("node"),
    )
}

/// The scorer of unwanted mail, which knows its rules by itself.
pub(crate) fn spamassassin() -> Option<&'static str> {
    let found = succeeds("spamassassin", &["--version"]).then_some("spamassassin");
    or_skip("SpamAssassin", found)
}

/// The tracer that fails, delays or kills at chosen system calls.
pub(crate) fn strace() -> Option<&'static str> {
    or_skip(
        "strace",
        succeeds("strace", &["--version"]).then_some("strace"),
    )
}

/// The folder of PostgreSQL's programs, looked for where `tests/run` looks.
pub(crate) fn postgres() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql");
    let usual = versions
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path().join("bin")));
    let path = variable("PATH").unwrap_or_default();
    let found = usual
        .chain(std::env::split_paths(&path))
        .find(|folder| folder.join("initdb").is_file());
    or_skip(
        "a PostgreSQL server with setpriv",
        found.filter(|_| succeeds("setpriv", &["--version"])),
    )
}

/// A file system of its own, in memory and of this size, mounted at `at`: takes root.
pub(crate) fn mount(at: &Path, size: &str) -> Option<()> {
    let options = format!("size={size}");
    let at = at.to_str().expect("temporary paths are UTF-8");
    let mounted = succeeds("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", at]);
    or_skip(
        "the right to mount a file system (root)",
        mounted.then_some(()),
    )
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let run = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    run.is_ok_and(|output| output.status.success())
}

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn or_skip<T>(what: &str, found: Option<T>) -> Option<T> {
    if found.is_none() {
        assert!(!is_set("CI"), "{what} is missing; see tests/run");
        eprintln!("SKIPPED: {what} is missing; see tests/run");
    }
    found
}

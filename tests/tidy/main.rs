//! Holds the tree against the design, so that the picture in ARCHITECTURE.md cannot drift from the code.
//!
//! Four things are compared: who depends on whom (`table`), what the sources may say (`rules`), what the lock file
//! holds (`lock`), and which promise is shown by which test (`checks`, with `tests/checks.toml`). Every test collects
//! all breaches before it fails, each with its file and line, so that one run shows everything there is to mend.
//! Nothing here starts the program.

mod checks;
mod lock;
mod members;
mod rules;
mod source;
mod table;

use std::path::{Path, PathBuf};

/// The folder of the root manifest, whatever directory the tests run in.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("crates/api lies two folders below the root")
}

/// Fails with every breach on a line of its own.
#[track_caller]
fn none(breaches: &[String]) {
    assert!(
        breaches.is_empty(),
        "{} breaches:\n  {}",
        breaches.len(),
        breaches.join("\n  ")
    );
}

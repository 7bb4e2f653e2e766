//! `[database]`: where the data is stored, and the bounds of writing it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use posthaste_store::SealingKey;
use secrecy::{ExposeSecret, SecretString};

use super::super::reader::Reader;

/// Where the data is stored.
#[derive(Debug, Clone)]
pub enum Place {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, by its URL.
    Postgres(SecretString),
}

impl Place {
    /// The SQLite file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }
}

/// `[database]`
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Database {
    pub place: Place,
    pub secret_key: Option<SealingKey>,
    pub busy_timeout: Duration,
    pub read_connections: u32,
    pub intake_commands: usize,
    pub intake_bytes: u64,
    pub batch: usize,
    pub checkpoint_above: u64,
    pub disk_floor: u64,
    pub hints: bool,
    pub old_snapshot: Duration,
}

impl Database {
    /// The path is empty where the URL is: it is then derived from `data_dir`.
    pub(in crate::settings) fn read(mut table: Reader<'_>) -> Self {
        let database = Self {
            place: place(&mut table),
            secret_key: sealing_key(&mut table),
            busy_timeout: table.duration("busy_timeout"),
            read_connections: table.integer(
                "read_connections",
                "an integer from 1 to 64",
                1,
                |n| (1..=64).contains(n),
            ),
            intake_commands: table.integer(
                "intake_commands",
                "an integer from 1 to 1000000",
                1,
                |n| (1..=1_000_000).contains(n),
            ),
            intake_bytes: table.positive_size("intake_bytes"),
            batch: table.integer("batch", "an integer from 1 to 2000", 1, |n| {
                (1..=2000).contains(n)
            }),
            checkpoint_above: table.size("checkpoint_above"),
            disk_floor: table.size("disk_floor"),
            hints: table.flag("hints"),
            old_snapshot: table.positive_duration("old_snapshot"),
        };
        table.finish();
        database
    }
}

/// What `url` names; a SQLite file without a path if it is not given.
fn place(table: &mut Reader<'_>) -> Place {
    let given_at = table.place("url");
    let Some(secret) = table.secret("url") else {
        return Place::Sqlite(PathBuf::new());
    };
    let url = secret.expose_secret();
    let path = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"));
    match path {
        Some(path) if !path.is_empty() => return Place::Sqlite(PathBuf::from(path)),
        None if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            return Place::Postgres(secret);
        }
        _ => table.conflict(
            &given_at,
            "url",
            "expected sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE",
        ),
    }
    Place::Sqlite(PathBuf::new())
}

fn sealing_key(table: &mut Reader<'_>) -> Option<SealingKey> {
    let place = table.place("secret_key");
    let text = table.secret("secret_key")?;
    let key = text.expose_secret().parse();
    if key.is_err() {
        table.conflict(&place, "secret_key", "expected 64 hexadecimal digits");
    }
    key.ok()
}

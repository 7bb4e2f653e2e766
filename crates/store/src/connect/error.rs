//! Why a database cannot be opened.

use std::path::PathBuf;

use sea_orm::DbErr;

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process serves it.
    #[error("{} is in use by another posthaste process", .0.display())]
    InUse(PathBuf),
    /// Folder or file cannot be written.
    #[error("{} cannot be written", path.display())]
    NotWritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Steps of the schema are pending, and applying them was not wanted.
    #[error("{0} migrations are pending")]
    Pending(usize),
    /// The schema has steps that this release does not know.
    #[error("the schema is newer than this release: unknown migration `{0}`")]
    TooNew(String),
    /// The database does not do what durability needs.
    #[error("the database is not durable: {setting} is {found}, not {wanted}")]
    NotDurable {
        /// The setting.
        setting: &'static str,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// The system gave no thread or runtime for the writer.
    #[error("no thread can be had for the writer")]
    Thread(#[source] std::io::Error),
    /// Anything else that the database said.
    #[error("the database cannot be opened")]
    Database(#[source] DbErr),
}

impl From<DbErr> for OpenError {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

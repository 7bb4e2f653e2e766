//! Databases that are there for one measurement and gone after it. Nothing that was there before is touched: on SQLite
//! the file must be new, on PostgreSQL everything happens in a schema of its own.

use std::{
    io,
    path::{Path, PathBuf},
};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::DatabasePlace;

/// Why there is no database to measure on.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// A file is there already, and may be somebody's.
    #[error("{} is there already; a measurement takes a new file", .0.display())]
    NotNew(PathBuf),
    /// The file, or one beside it, could not be removed.
    #[error("{} cannot be removed", path.display())]
    Remove {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The server.
    #[error("a schema for the measurement cannot be made or dropped")]
    Schema(#[source] DbErr),
}

/// A database of its own, until [`Scratch::remove`].
#[derive(Debug)]
pub struct Scratch {
    place: DatabasePlace,
    schema: Option<Schema>,
}

#[derive(Debug)]
struct Schema {
    server: SecretString,
    name: String,
}

impl Scratch {
    /// Makes one at `place`.
    ///
    /// # Errors
    /// [`ScratchError::NotNew`] for a file that is there, [`ScratchError::Schema`] if the server refuses.
    pub async fn make(place: DatabasePlace) -> Result<Self, ScratchError> {
        match place {
            DatabasePlace::Sqlite(path) if path.exists() => Err(ScratchError::NotNew(path)),
            DatabasePlace::Sqlite(_) => Ok(Self {
                place,
                schema: None,
            }),
            DatabasePlace::Postgres(server) => {
                let name = format!("posthaste_bench_{}", Uuid::new_v4().simple());
                run(&server, &format!("CREATE SCHEMA {name}")).await?;
                Ok(Self {
                    place: DatabasePlace::Postgres(within(&server, &name)),
                    schema: Some(Schema { server, name }),
                })
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &DatabasePlace {
        &self.place
    }

    /// Removes it, after every store on it was closed.
    ///
    /// # Errors
    /// [`ScratchError`], and what is left is named.
    pub async fn remove(self) -> Result<(), ScratchError> {
        if let Some(Schema { server, name }) = &self.schema {
            return run(server, &format!("DROP SCHEMA {name} CASCADE")).await;
        }
        match &self.place {
            DatabasePlace::Sqlite(path) => remove_files(path),
            DatabasePlace::Postgres(_) => Ok(()),
        }
    }
}

/// The same server, with the schema as the only one that names are looked up in.
fn within(server: &SecretString, schema: &str) -> SecretString {
    let url = server.expose_secret();
    let separator = if url.contains('?') { '&' } else { '?' };
    // `-c search_path=NAME`, as the options of a URL spell it.
    format!("{url}{separator}options=-c%20search_path%3D{schema}").into()
}

async fn run(server: &SecretString, sql: &str) -> Result<(), ScratchError> {
    let mut options = ConnectOptions::new(server.expose_secret());
    options.max_connections(1).sqlx_logging(false);
    let connection = Database::connect(options)
        .await
        .map_err(ScratchError::Schema)?;
    let ran = connection.execute_unprepared(sql).await;
    close(connection).await;
    ran.map(drop).map_err(ScratchError::Schema)
}

async fn close(connection: DatabaseConnection) {
    // What was asked for is done or has failed; how the connection ends changes neither.
    connection.close().await.ok();
}

/// SQLite's log and its index, and our lock, lie beside the file.
fn remove_files(path: &Path) -> Result<(), ScratchError> {
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let path = PathBuf::from(name);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(ScratchError::Remove { path, source });
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

//! A SQLite file: one connection that writes with synced commits (asserted, not assumed), and readers that cannot.

use std::{
    io,
    mem::ManuallyDrop,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement,
    sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{OpenError, log::Log};
use crate::lock::FileLock;

/// Most statements that a connection keeps prepared: about twenty texts, most of them in some ten lengths.
const STATEMENTS: usize = 300;
/// Bytes that the file of the log keeps when it begins anew.
const LOG_KEPT: u64 = 64 << 20;

/// Makes connections to one database file.
#[derive(Debug, Clone)]
pub(crate) struct Sqlite {
    pub(crate) path: PathBuf,
    pub(crate) busy_timeout: Duration,
    /// Held while anything of this process may still write, the writing thread of a store that was dropped too.
    pub(crate) _lock: Arc<FileLock>,
}

impl Sqlite {
    /// A file for one test, in this folder.
    #[cfg(test)]
    pub(crate) fn of_test(folder: &Path) -> Self {
        let path = folder.join("x.db");
        Self {
            _lock: Arc::new(FileLock::beside(&path).expect("nobody else has it")),
            path,
            busy_timeout: Duration::from_millis(50),
        }
    }

    /// SQLite opens a read-only file without complaint and fails at the first write; asked here, the answer is clear.
    pub(super) fn check_writable(&self) -> Result<(), OpenError> {
        let open = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            // Mails are for their owner alone, whatever the folder allows. The log beside the file follows it.
            .mode(0o600)
            .open(&self.path);
        open.map(drop).map_err(|source| OpenError::NotWritable {
            path: self.path.clone(),
            source,
        })
    }

    /// The one connection that writes. Checkpoints are never run by its commits.
    pub(crate) async fn writer(&self) -> Result<DatabaseConnection, OpenError> {
        let connection = self.single().await?;
        for (pragma, wanted) in [
            ("journal_mode", "wal"),
            ("synchronous", "2"),
            ("foreign_keys", "1"),
        ] {
            let found = pragma_value(&connection, pragma).await?;
            if found != wanted {
                return Err(OpenError::NotDurable {
                    setting: pragma,
                    wanted,
                    found,
                });
            }
        }
        Ok(connection)
    }

    /// A connection for checkpoints: as durable as the writer's, for it writes the database file.
    pub(crate) async fn checkpointer(&self) -> Result<DatabaseConnection, DbErr> {
        self.single().await
    }

    async fn single(&self) -> Result<DatabaseConnection, DbErr> {
        self.callers(1).await
    }

    /// Connections that write, one at a time.
    pub(super) async fn callers(&self, connections: u32) -> Result<DatabaseConnection, DbErr> {
        let options = self.options(connections.max(1), |sqlite| {
            sqlite
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                // Each statement in every length of its rows stays prepared.
                .statement_cache_capacity(STATEMENTS)
                // Checkpoints are asked for, never run inside a commit.
                .pragma("wal_autocheckpoint", "0")
                // A log that begins anew is written over; one that had grown is cut.
                .pragma("journal_size_limit", LOG_KEPT.to_string())
        });
        Database::connect(options).await
    }

    pub(super) async fn readers(&self, connections: u32) -> Result<DatabaseConnection, DbErr> {
        Database::connect(self.options(connections.max(1), |sqlite| sqlite.read_only(true))).await
    }

    fn options(
        &self,
        connections: u32,
        more: impl Fn(SqliteConnectOptions) -> SqliteConnectOptions + Send + Sync + 'static,
    ) -> ConnectOptions {
        let mut options = ConnectOptions::new("sqlite://");
        let (path, busy_timeout) = (self.path.clone(), self.busy_timeout);
        options
            .max_connections(connections)
            .min_connections(1)
            .sqlx_logging(false)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(Duration::from_secs(10))
            .map_sqlx_sqlite_opts(move |sqlite| {
                more(sqlite.filename(&path).busy_timeout(busy_timeout))
            });
        options
    }

    /// The file itself, to be synced.
    pub(crate) fn file(&self) -> io::Result<DatabaseFile> {
        let file = std::fs::File::open(&self.path)?;
        Ok(DatabaseFile(ManuallyDrop::new(file)))
    }

    /// Its write-ahead log.
    pub(crate) fn log(&self) -> Log {
        Log::beside(&self.path)
    }

    /// Bytes free where the database lies; `None` if the system does not say.
    pub(crate) fn free_space(&self) -> Option<u64> {
        let folder = self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let stat = rustix::fs::statvfs(folder.unwrap_or(Path::new("."))).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// A database file that stays open for as long as the process lives. Closing it would drop the locks that SQLite holds on
/// it, which belong to the process and not to a descriptor (fcntl(2), "record locks").
#[derive(Debug)]
pub(crate) struct DatabaseFile(ManuallyDrop<std::fs::File>);

impl DatabaseFile {
    /// Returns when what was written to it is on disk. An error is told to SQLite as well, on its own descriptor.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

async fn pragma_value(
    connection: &DatabaseConnection,
    pragma: &'static str,
) -> Result<String, DbErr> {
    let asked = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {pragma}"));
    let row = connection.query_one_raw(asked).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound(format!("PRAGMA {pragma}")))?;
    let number = row
        .try_get_by_index::<i64>(0)
        .map(|number| number.to_string());
    number.or_else(|_| row.try_get_by_index::<String>(0))
}

//! Opening a SQLite file: lock, writer with synced commits (asserted, not assumed), schema, readers, and the jobs of
//! processes that died.

use std::{
    fmt,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use posthaste_domain::clock::Clock;
use posthaste_queue::Handover;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr,
    sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use sea_orm_migration::MigratorTrait;

use crate::{
    lock::{FileLock, LockError},
    queue,
    seal::{Sealer, SealingKey},
    writer::{Limits, Writer},
};

/// Where the database is and how much may wait to be written to it.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The database file; its folder must exist.
    pub path: PathBuf,
    /// How long a statement waits for a lock that another connection of this process holds.
    pub busy_timeout: Duration,
    /// Connections that read.
    pub read_connections: u32,
    /// Most submits that wait to be written.
    pub intake_commands: usize,
    /// Most bytes of submits that wait to be written.
    pub intake_bytes: usize,
    /// Most commands in one commit.
    pub batch: usize,
    /// Size of the write-ahead log above which it is written back and emptied, in bytes.
    pub checkpoint_above: u64,
    /// Encrypts what must not be read out of a copy of the database.
    pub sealing_key: SealingKey,
    /// Free space on the disk below which submits are refused, in bytes; ends of jobs are still written.
    pub disk_floor: u64,
}

/// What to do with steps of the schema that are not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrate {
    /// Apply them.
    Apply,
    /// Refuse to open.
    Refuse,
}

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
    #[error("the database is not durable: {pragma} is {found}, not {wanted}")]
    NotDurable {
        /// The setting.
        pragma: &'static str,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// Anything else that the database said.
    #[error("the database cannot be opened")]
    Database(#[source] DbErr),
}

impl From<DbErr> for OpenError {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

/// What opening found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Steps of the schema that were applied.
    pub migrations: usize,
    /// Jobs taken back from processes that died with them; a crash was counted for each.
    pub recovered: u64,
}

/// The stores and the durable queue of one node.
pub struct Store {
    pub(crate) reader: DatabaseConnection,
    pub(crate) writer: Writer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) handover: Arc<OnceLock<Arc<Handover>>>,
    _lock: FileLock,
}

impl Store {
    /// Opens the database, making the file if it is not there, with the schema of `M`.
    ///
    /// # Errors
    /// [`OpenError`], before anything was changed but for the file's own creation and migrations that were applied.
    pub async fn open<M: MigratorTrait>(
        config: StoreConfig,
        clock: Arc<dyn Clock>,
        migrate: Migrate,
    ) -> Result<(Self, Opened), OpenError> {
        let lock = FileLock::beside(&config.path).map_err(|error| match error {
            LockError::Held => OpenError::InUse(config.path.clone()),
            LockError::Io(path, source) => OpenError::NotWritable { path, source },
        })?;
        check_writable(&config.path)?;
        let connector = Connector {
            path: config.path.clone(),
            busy_timeout: config.busy_timeout,
        };
        let connection = connector.writer().await?;
        let migrations = migrated::<M>(&connection, migrate).await?;
        let recovered = queue::sqlite::recover_orphans(&connection, &*clock).await?;
        let reader = connector.readers(config.read_connections).await?;
        let handover = Arc::new(OnceLock::new());
        let limits = Limits::from(&config);
        let sealer = Arc::new(Sealer::new(&config.sealing_key));
        let writer = Writer::start(
            connector,
            connection,
            limits,
            Arc::clone(&clock),
            Arc::clone(&sealer),
            Arc::clone(&handover),
        );
        Ok((
            Self {
                reader,
                writer,
                clock,
                sealer,
                handover,
                _lock: lock,
            },
            Opened {
                migrations,
                recovered,
            },
        ))
    }

    /// From now on, freshly accepted work may go straight to a worker of this process. Only the first call counts.
    pub fn hand_over_to(&self, handover: Arc<Handover>) {
        if self.handover.set(handover).is_err() {
            tracing::warn!("a second worker asked for hand-over; it claims from the table only");
        }
    }

    /// Writes what waits, and closes. Whatever comes later is refused.
    pub async fn close(&self) {
        // Readers go first: the last connection to close empties the log into the file, which only a writer can do.
        if let Err(error) = self.reader.close_by_ref().await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "a reading connection did not close"
            );
        }
        self.writer.close().await;
    }

    /// Returns when the writing task has ended, in order or not.
    pub async fn ended(&self) {
        self.writer.ended().await;
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

/// SQLite opens a read-only file without complaint and fails at the first write; asked here, the answer is clear.
fn check_writable(path: &Path) -> Result<(), OpenError> {
    let open = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        // Mails are for their owner alone, whatever the folder allows. The log beside the file follows it.
        .mode(0o600)
        .open(path);
    open.map(drop).map_err(|source| OpenError::NotWritable {
        path: path.to_owned(),
        source,
    })
}

async fn migrated<M: MigratorTrait>(
    connection: &DatabaseConnection,
    migrate: Migrate,
) -> Result<usize, OpenError> {
    M::install(connection).await?;
    let known: Vec<String> = M::migrations()
        .iter()
        .map(|step| step.name().to_owned())
        .collect();
    let applied = M::get_migration_models(connection).await?;
    if let Some(unknown) = applied.iter().find(|step| !known.contains(&step.version)) {
        return Err(OpenError::TooNew(unknown.version.clone()));
    }
    let pending = known.len() - applied.len();
    match migrate {
        Migrate::Refuse if pending > 0 => Err(OpenError::Pending(pending)),
        Migrate::Refuse | Migrate::Apply => {
            M::up(connection, None).await?;
            Ok(pending)
        }
    }
}

/// Makes connections to one database file.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    path: PathBuf,
    busy_timeout: Duration,
}

impl Connector {
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
                    pragma,
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
        let options = self.options(1, |sqlite| {
            sqlite
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                // Checkpoints are asked for, never run inside a commit.
                .pragma("wal_autocheckpoint", "0")
                // A log that was emptied is cut, not kept at its largest size.
                .pragma("journal_size_limit", "0")
        });
        Database::connect(options).await
    }

    async fn readers(&self, connections: u32) -> Result<DatabaseConnection, DbErr> {
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

    /// Bytes in the write-ahead log.
    pub(crate) fn wal_size(&self) -> u64 {
        let mut name = self.path.as_os_str().to_owned();
        name.push("-wal");
        std::fs::metadata(PathBuf::from(name)).map_or(0, |meta| meta.len())
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

async fn pragma_value(
    connection: &DatabaseConnection,
    pragma: &'static str,
) -> Result<String, DbErr> {
    use sea_orm::{DbBackend, Statement};
    let asked = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {pragma}"));
    let row = connection.query_one_raw(asked).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound(format!("PRAGMA {pragma}")))?;
    let number = row
        .try_get_by_index::<i64>(0)
        .map(|number| number.to_string());
    number.or_else(|_| row.try_get_by_index::<String>(0))
}

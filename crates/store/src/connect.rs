//! Opening a database: writer with synced commits, schema, readers; on SQLite also the lock and the jobs of processes
//! that died.

mod connector;
mod error;
mod log;
mod postgres;
mod schema;
mod sqlite;

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use posthaste_domain::clock::{Clock, Steady, Timestamp};
use posthaste_queue::{BootId, Controls, Handover};
use sea_orm::{DatabaseConnection, DbBackend};
use sea_orm_migration::MigratorTrait;
use secrecy::SecretString;
use tokio::task::JoinSet;

pub use self::error::OpenError;
use self::schema::{migrated, prepare_history};
pub(crate) use self::{
    connector::Connector,
    log::Log,
    postgres::Postgres,
    sqlite::{DatabaseFile, Sqlite},
};
use crate::{
    accept::InFlight,
    beat::Beats,
    condition::{Condition, Watch},
    hints::{Hints, Notices},
    lock::{FileLock, LockError},
    operate,
    outgoing::Loads,
    queue::{self, book::RankBook, marks::Marks},
    seal::{Sealer, SealingKey},
    sweep::Observations,
    writer::{Limits, Session, Writer},
};

/// Which database, and where.
#[derive(Debug, Clone)]
pub enum DatabasePlace {
    /// A SQLite file; its folder must exist. One process serves it.
    Sqlite(PathBuf),
    /// A PostgreSQL database, by its URL. Any number of processes serve it.
    Postgres(SecretString),
}

/// Where the database is and how much may wait to be written to it.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Which database.
    pub database: DatabasePlace,
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
    /// How long an idempotency key is kept; an older one is free again, whether or not it was removed.
    pub idempotency_keys: Duration,
    /// Encrypts what must not be read out of a copy of the database.
    pub sealing_key: SealingKey,
    /// Free space on the disk below which submits are refused, in bytes; ends of jobs are still written.
    pub disk_floor: u64,
    /// Whether nodes on PostgreSQL tell each other of new work; without it, polls find it.
    pub hints: bool,
    /// For how long another session on PostgreSQL may keep old rows in place before the log warns.
    pub old_snapshot: Duration,
}

/// What to do with steps of the schema that are not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrate {
    /// Apply them.
    Apply,
    /// Refuse to open.
    Refuse,
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
    /// Workers that wait for what they are to send.
    pub(crate) loads: Loads,
    pub(crate) backend: DbBackend,
    pub(crate) connector: Connector,
    pub(crate) writer: Writer,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether stored times may end jobs.
    pub(crate) steady: Steady,
    pub(crate) sealer: Arc<Sealer>,
    /// Submits under idempotency keys that are on their way on this node, and how long keys are kept.
    pub(crate) in_flight: InFlight,
    pub(crate) keys_kept: Duration,
    pub(crate) notices: Notices,
    hints: Option<Hints>,
    pub(crate) condition: Condition,
    /// What runs beside the writer, until the store is closed.
    beside: Mutex<JoinSet<()>>,
    /// The beats of this process's nodes.
    pub(crate) beats: Mutex<HashMap<BootId, Beats>>,
    /// What this process has seen of the beats of all nodes.
    pub(crate) sweeping: Mutex<Observations>,
    /// What operators have switched, as this process knows it.
    pub(crate) controls: Controls,
    /// From where this process claims.
    pub(crate) marks: Mutex<Marks>,
    /// Give ranks in transactions of callers.
    pub(crate) callers_books: Mutex<Vec<RankBook>>,
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
        let connector = prepared(&config)?;
        let connection = connector.writer().await?;
        let migrations = migrated::<M>(&connector, &connection, migrate).await?;
        if let (Connector::Postgres(postgres), 1..) = (&connector, migrations) {
            prepare_history(postgres, clock.now()).await;
        }
        let recovered = match &connector {
            Connector::Sqlite(_) => {
                queue::statements::recover_orphans(&connection, &*clock).await?
            }
            Connector::Postgres(_) => 0,
        };
        let controls = Controls::default();
        let (version, paused) = operate::switched(&connection, connector.backend()).await?;
        controls.apply(version, paused);
        let reader = connector.readers(config.read_connections).await?;
        let mut beside = JoinSet::new();
        let hints = match &connector {
            Connector::Postgres(postgres) if config.hints => {
                let hints = Hints::new();
                beside.spawn(hints.clone().send(postgres.clone()));
                Some(hints)
            }
            Connector::Postgres(_) | Connector::Sqlite(_) => None,
        };
        let notices = Notices::new(hints.clone());
        let limits = Limits::from(&config);
        let condition = Condition::default();
        if let Connector::Postgres(_) = &connector {
            let watch = Watch {
                connector: connector.clone(),
                reader: reader.clone(),
                clock: Arc::clone(&clock),
                old_snapshot: config.old_snapshot,
            };
            beside.spawn(condition.clone().keep(watch));
        }
        let sealer = Arc::new(Sealer::new(&config.sealing_key));
        let backend = connector.backend();
        let sweeping = Mutex::new(Observations::default());
        let session = match &connector {
            Connector::Sqlite(_) => Some(Session::on(connection).await?),
            // A socket is watched by the runtime that opened it.
            Connector::Postgres(_) => {
                connection.close().await?;
                None
            }
        };
        let writer = Writer::start(
            connector.clone(),
            session,
            limits,
            Arc::clone(&clock),
            Arc::clone(&sealer),
            notices.clone(),
            controls.clone(),
        );
        let writer = writer.map_err(OpenError::Thread)?;
        Ok((
            Self {
                reader,
                loads: Loads::default(),
                backend,
                connector,
                writer,
                clock,
                steady: Steady::default(),
                sealer,
                in_flight: InFlight::default(),
                keys_kept: config.idempotency_keys,
                notices,
                hints,
                condition,
                beside: Mutex::new(beside),
                beats: Mutex::default(),
                sweeping,
                controls,
                marks: Mutex::default(),
                callers_books: Mutex::default(),
            },
            Opened {
                migrations,
                recovered,
            },
        ))
    }

    /// From now on, freshly accepted work may go straight to a worker of this process, and hints of other nodes reach it.
    /// Only the first call counts.
    pub fn hand_over_to(&self, handover: Arc<Handover>) {
        if !self.notices.set_handover(Arc::clone(&handover)) {
            tracing::warn!("a second worker asked for hand-over; it claims from the table only");
            return;
        }
        if let (Connector::Postgres(postgres), Some(hints)) = (&self.connector, &self.hints) {
            let listening = hints.clone().listen(postgres.clone(), handover);
            self.beside().spawn(listening);
        }
    }

    /// Whether anything may end because it is `now`, by the database's time (I22).
    pub(crate) fn may_expire(&self, now: Timestamp) -> bool {
        self.steady
            .look(now, self.connector.monotonic(&*self.clock))
    }

    pub(crate) fn beats(&self) -> MutexGuard<'_, HashMap<BootId, Beats>> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn beside(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.beside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Beats no more for the nodes of this process, without leaving: what a partition does, for tests of it.
    #[doc(hidden)]
    pub fn stop_beating(&self) {
        self.beats().clear();
    }

    /// Writes what waits, and closes. Whatever comes later is refused.
    pub async fn close(&self) {
        self.beside().abort_all();
        // Readers go first: the last connection to close empties the log into the file, which only a writer can do.
        if let Err(error) = self.reader.close_by_ref().await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "a reading connection did not close"
            );
        }
        self.writer.close().await;
        self.beats().clear();
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

/// The way to the database, and on SQLite the right to serve it.
fn prepared(config: &StoreConfig) -> Result<Connector, OpenError> {
    match &config.database {
        DatabasePlace::Sqlite(path) => {
            let lock = FileLock::beside(path).map_err(|error| match error {
                LockError::Held => OpenError::InUse(path.clone()),
                LockError::Io(path, source) => OpenError::NotWritable { path, source },
            })?;
            let sqlite = Sqlite {
                path: path.clone(),
                busy_timeout: config.busy_timeout,
                _lock: Arc::new(lock),
            };
            sqlite.check_writable()?;
            Ok(Connector::Sqlite(sqlite))
        }
        DatabasePlace::Postgres(url) => Ok(Connector::Postgres(Postgres { url: url.clone() })),
    }
}

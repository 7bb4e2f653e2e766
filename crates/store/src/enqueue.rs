//! Enqueuing inside a transaction of the caller's own: its rows and the mail become true together, or neither does.
//!
//! The transaction is on the same database, on a connection that is not this crate's writer. It is never handed over,
//! for nobody here learns when it is committed: the job is ready from then on, and a worker finds it at its next look,
//! which [`Enqueued::committed`] brings forward.
//!
//! On SQLite one connection writes at a time. While the caller's transaction is open, whatever this store has to write
//! waits for it, and fails after `busy_timeout`; so it should be short and wait for nothing outside. It has to take the
//! right to write at its beginning, as [`Store::begin`] does: one that began by reading may find the way to writing shut.

use std::sync::{MutexGuard, PoisonError};

use posthaste_domain::message::NewMessage;
use posthaste_queue::{Lane, NewJob, Pushed};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, TransactionTrait,
};

use crate::{
    Store, accept,
    hints::Notices,
    queue::{book::RankBook, statements::push},
    sql::statement,
    writer::{Fault, Unit},
};

/// Why something could not be enqueued. Nothing of it is in the transaction, which can go on or be rolled back.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// The transaction is on a database of another kind.
    #[error("the transaction is on another database")]
    OtherDatabase,
    /// What the transaction commits would not be synced to the disk.
    #[error("the transaction is not durable: {setting} is {found}, not {wanted}")]
    NotDurable {
        /// The setting of its connection.
        setting: &'static str,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// The disk is nearly full.
    #[error("the disk is nearly full")]
    DiskFloor,
    /// Anything else that the database said.
    #[error("the database refused it")]
    Database(#[source] DbErr),
}

impl EnqueueError {
    /// Whether another transaction was in the way: the same transaction, begun anew, may pass.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Database(error) if Fault::of(error) == Fault::Conflict)
    }
}

impl From<DbErr> for EnqueueError {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

/// What became ready with the caller's commit. Dropping it costs no more than a poll.
pub struct Enqueued {
    lanes: Vec<Lane>,
    notices: Notices,
}

impl Enqueued {
    /// Says that the transaction was committed: workers look at once, here and elsewhere. Said too early, they only look
    /// in vain.
    pub fn committed(self) {
        self.notices.work_waits(&self.lanes);
    }
}

impl std::fmt::Debug for Enqueued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enqueued")
            .field("lanes", &self.lanes)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Up to `connections` connections of the caller's own to this database, for transactions that enqueue. Their commits
    /// are synced. Closing them is the caller's business, and comes before closing the store.
    ///
    /// # Errors
    /// [`DbErr`] if the database cannot be reached.
    pub async fn connect(&self, connections: u32) -> Result<DatabaseConnection, DbErr> {
        self.connector.callers(connections).await
    }

    /// Begins a transaction that may write; on SQLite it waits for the right to write here.
    ///
    /// # Errors
    /// [`DbErr`] if there is no connection, or if another transaction holds the right to write for too long.
    pub async fn begin(
        &self,
        connection: &DatabaseConnection,
    ) -> Result<DatabaseTransaction, DbErr> {
        self.connector.begin(connection).await
    }

    /// Stores a message with its deliveries and the job that sends it, as part of `txn`: all of it is there, synced, once
    /// `txn` is committed, and none of it if `txn` is rolled back or lost.
    ///
    /// # Errors
    /// [`EnqueueError`].
    pub async fn enqueue_in(
        &self,
        txn: &DatabaseTransaction,
        message: &NewMessage,
    ) -> Result<Enqueued, EnqueueError> {
        self.check(txn).await?;
        // A savepoint: on SQLite a failed statement leaves those before it standing.
        let inner = txn.begin().await?;
        let mut book = self.callers_book();
        let stored = async {
            let mut unit = self.unit(&inner, &mut book).await?;
            accept::insert(&mut unit, &[message]).await?;
            Ok(unit.lanes())
        };
        let stored = stored.await;
        self.callers_books().push(book);
        Ok(self.enqueued(ended(inner, stored).await?))
    }

    /// Stores jobs of any kind as part of `txn`, all or none. The answers are in the order of the jobs.
    ///
    /// # Errors
    /// [`EnqueueError`].
    pub async fn push_in(
        &self,
        txn: &DatabaseTransaction,
        jobs: &[NewJob],
    ) -> Result<(Vec<Pushed>, Enqueued), EnqueueError> {
        self.check(txn).await?;
        let inner = txn.begin().await?;
        let mut book = self.callers_book();
        let all: Vec<_> = jobs.iter().collect();
        let stored = async { push(&mut self.unit(&inner, &mut book).await?, &all).await };
        let stored = stored.await;
        self.callers_books().push(book);
        let pushed = ended(inner, stored).await?;
        let lanes = jobs.iter().map(|job| job.lane.clone()).collect();
        Ok((pushed, self.enqueued(lanes)))
    }

    async fn unit<'a>(
        &'a self,
        txn: &'a DatabaseTransaction,
        book: &'a mut RankBook,
    ) -> Result<Unit<'a>, DbErr> {
        let now = self.connector.now(txn, &*self.clock).await?;
        Ok(Unit::of_caller(
            txn,
            self.backend,
            now,
            &self.sealer,
            book,
            &self.controls,
        ))
    }

    /// Ranks are given by a book that one transaction has to itself, for it may wait for another one: as many books are
    /// kept as there were transactions at a time. What one that is rolled back was given is a gap.
    fn callers_book(&self) -> RankBook {
        self.callers_books().pop().unwrap_or_default()
    }

    fn callers_books(&self) -> MutexGuard<'_, Vec<RankBook>> {
        self.callers_books
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueued(&self, lanes: Vec<Lane>) -> Enqueued {
        Enqueued {
            lanes,
            notices: self.notices.clone(),
        }
    }

    /// Whether what `txn` commits is as durable as what the writer commits.
    async fn check(&self, txn: &DatabaseTransaction) -> Result<(), EnqueueError> {
        if txn.get_database_backend() != self.backend {
            return Err(EnqueueError::OtherDatabase);
        }
        if self.writer.below_disk_floor(self.connector.free_space()) {
            return Err(EnqueueError::DiskFloor);
        }
        let (setting, asked, wanted, enough): (_, _, _, &[&str]) = match self.backend {
            DbBackend::Postgres => (
                "synchronous_commit",
                "SELECT current_setting('synchronous_commit')",
                "on",
                &["on", "remote_apply"],
            ),
            _ => (
                "synchronous",
                "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous",
                "2",
                &["2", "3"],
            ),
        };
        let row = txn
            .query_one_raw(statement(self.backend, asked, []))
            .await?;
        let found: String = row
            .ok_or_else(|| DbErr::RecordNotFound(setting.to_owned()))?
            .try_get_by_index(0)?;
        if enough.contains(&found.as_str()) {
            return Ok(());
        }
        Err(EnqueueError::NotDurable {
            setting,
            wanted,
            found,
        })
    }
}

/// Keeps what was written since the savepoint, or takes it back.
async fn ended<T>(inner: DatabaseTransaction, written: Result<T, DbErr>) -> Result<T, DbErr> {
    match written {
        Ok(written) => inner.commit().await.map(|()| written),
        Err(error) => {
            // A transaction that cannot go back to its savepoint cannot be committed either.
            inner.rollback().await.ok();
            Err(error)
        }
    }
}

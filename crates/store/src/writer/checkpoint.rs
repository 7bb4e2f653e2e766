//! Writing the log back. The writer's commits never do it: a checkpoint inside a commit costs every caller of that batch
//! its time. It is done beside them, step by step, by passive checkpoints; but under steady writes these never reach the
//! end of the log, which would then grow for ever. So above a size the writer leaves a gap between two batches, in which
//! the little that is left is written back, and the next batch begins the log anew, in the file as it is: to write over
//! blocks that a file has is half as dear to sync as to append to it.
//!
//! What a passive checkpoint writes, SQLite syncs when it reaches the end, so in the gap, where everybody would wait for
//! the whole of it. So each step is synced beside the writer too.

use std::{io, sync::Arc};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tracing::{debug, warn};

use crate::connect::{DatabaseFile, Log, Sqlite};

/// A step is taken when so much waits, as a share of the mark: a commit that meets its sync waits for that much.
const STEP: u64 = 8;

pub(super) struct Checkpointer {
    connector: Sqlite,
    log: Log,
    above: u64,
    connection: Option<DatabaseConnection>,
    file: Option<Arc<DatabaseFile>>,
    /// At most one step beside the writer.
    step: JoinSet<Result<Reached, DbErr>>,
    /// How long the log was after the last batch.
    seen: u64,
    /// How long it was when the last step began.
    stepped: u64,
    /// The size at which the next gap is worth it: raised while a reader holds the log, so that not every gap waits.
    next: u64,
}

impl Checkpointer {
    pub(super) fn new(connector: Sqlite, above: u64) -> Self {
        Self {
            log: connector.log(),
            connector,
            above,
            connection: None,
            file: None,
            step: JoinSet::new(),
            seen: 0,
            stepped: 0,
            next: above,
        }
    }

    /// Called while nothing is being written: begins a step, or uses the gap.
    pub(super) async fn between_batches(&mut self) {
        let bytes = self.log.bytes();
        if bytes < self.seen {
            // It has begun anew, in a gap or after a step that reached the end.
            (self.stepped, self.next) = (0, self.above);
        }
        self.seen = bytes;
        let ended = self.step.try_join_next();
        // After a step little is left; but a disk too slow for steps does not let the log grow for ever.
        let late = bytes > self.next.saturating_add(self.above / 2);
        let gap = late || ended.is_some() && bytes > self.next;
        if let Some(ended) = ended {
            self.ended(ended);
        }
        if gap {
            self.join().await;
            self.use_gap(bytes).await;
        } else if self.step.is_empty() && bytes - self.stepped > self.above / STEP {
            self.begin_step(bytes).await;
        }
    }

    async fn begin_step(&mut self, bytes: u64) {
        let (connection, file) = match (self.connection().await, self.file()) {
            (Ok(connection), Ok(file)) => (connection, file),
            (Err(error), _) => return self.failed(&error, bytes),
            (_, Err(error)) => return self.failed(&custom(&error), bytes),
        };
        self.stepped = bytes;
        self.step.spawn(async move {
            let reached = checkpoint(&connection, "PASSIVE").await?;
            let synced = spawn_blocking(move || file.sync()).await;
            synced
                .map_err(io::Error::other)
                .flatten()
                .map_err(|error| custom(&error))?;
            Ok(reached)
        });
    }

    fn file(&mut self) -> io::Result<Arc<DatabaseFile>> {
        let file = match self.file.take() {
            Some(file) => file,
            None => Arc::new(self.connector.file()?),
        };
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }

    async fn use_gap(&mut self, bytes: u64) {
        let emptied = match self.connection().await {
            Ok(connection) => checkpoint(&connection, "RESTART").await,
            Err(error) => Err(error),
        };
        match emptied {
            Ok(Reached::End) => debug!(bytes, "the write-ahead log begins anew"),
            Ok(Reached::Reader) => self.next = bytes.saturating_add(self.above / 4),
            Err(error) => self.failed(&error, bytes),
        }
    }

    /// The last gap, so that a stopped node leaves one file.
    pub(super) async fn finish(&mut self) {
        self.join().await;
        let emptied = match self.connection().await {
            Ok(connection) => checkpoint(&connection, "TRUNCATE").await,
            Err(error) => Err(error),
        };
        if let Err(error) = emptied {
            warn!(
                error = &error as &dyn std::error::Error,
                "the write-ahead log could not be emptied at the end"
            );
        }
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            debug!(
                error = &error as &dyn std::error::Error,
                "the checkpointing connection did not close"
            );
        }
    }

    /// Waits for the end of a step.
    async fn join(&mut self) {
        while let Some(ended) = self.step.join_next().await {
            self.ended(ended);
        }
    }

    /// A step that panicked wrote nothing that the next will not write.
    fn ended(&mut self, ended: Result<Result<Reached, DbErr>, JoinError>) {
        if let Ok(Err(error)) = ended {
            let bytes = self.log.bytes();
            self.failed(&error, bytes);
        }
    }

    async fn connection(&mut self) -> Result<DatabaseConnection, DbErr> {
        if self.connection.is_none() {
            self.connection = Some(self.connector.checkpointer().await?);
        }
        self.connection
            .clone()
            .ok_or_else(|| DbErr::Custom("no connection".into()))
    }

    fn failed(&mut self, error: &DbErr, bytes: u64) {
        warn!(
            error = error as &dyn std::error::Error,
            bytes, "the write-ahead log could not be written back"
        );
        self.connection = None;
        self.next = bytes.saturating_add(self.above);
    }
}

fn custom(error: &io::Error) -> DbErr {
    DbErr::Custom(error.to_string())
}

async fn checkpoint(connection: &DatabaseConnection, mode: &str) -> Result<Reached, DbErr> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let row = connection
        .query_one_raw(Statement::from_string(DbBackend::Sqlite, sql))
        .await?;
    let busy: i64 = row.map_or(Ok(1), |row| row.try_get_by_index(0))?;
    Ok(if busy == 0 {
        Reached::End
    } else {
        Reached::Reader
    })
}

/// How far a checkpoint came.
enum Reached {
    End,
    /// A reader needs what is left.
    Reader,
}

#[cfg(test)]
mod tests;

//! Writing the log back. The writer's commits never do it: a checkpoint inside a commit costs every caller of that batch
//! its time. Under steady writes a passive checkpoint never reaches the end of the log, which would then grow for ever;
//! so above a size the writer leaves a gap between two batches, in which the log is written back whole and emptied.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};
use tracing::{debug, warn};

use crate::connect::Sqlite;

pub(super) struct Checkpointer {
    connector: Sqlite,
    above: u64,
    connection: Option<DatabaseConnection>,
    /// The size at which the next try is worth it: raised while a reader holds the log, so that not every gap waits.
    next: u64,
}

impl Checkpointer {
    pub(super) fn new(connector: Sqlite, above: u64) -> Self {
        Self {
            connector,
            above,
            connection: None,
            next: above,
        }
    }

    /// The gap: called while nothing is being written.
    pub(super) async fn between_batches(&mut self) {
        let size = self.connector.wal_size();
        if size <= self.next {
            return;
        }
        match self.truncate().await {
            Ok(Emptied::Yes) => {
                debug!(bytes = size, "emptied the write-ahead log");
                self.next = self.above;
            }
            Ok(Emptied::ReaderInTheWay) => self.next = size.saturating_add(self.above / 4),
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    bytes = size,
                    "the write-ahead log could not be emptied"
                );
                self.connection = None;
                self.next = size.saturating_add(self.above);
            }
        }
    }

    /// The last gap, so that a stopped node leaves one file.
    pub(super) async fn finish(&mut self) {
        if let Err(error) = self.truncate().await {
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

    async fn truncate(&mut self) -> Result<Emptied, DbErr> {
        let connection = match &self.connection {
            Some(connection) => connection,
            None => self.connection.insert(self.connector.checkpointer().await?),
        };
        let checkpoint =
            Statement::from_string(DbBackend::Sqlite, "PRAGMA wal_checkpoint(TRUNCATE)");
        let row = connection.query_one_raw(checkpoint).await?;
        let busy: i64 = row.map_or(Ok(1), |row| row.try_get_by_index(0))?;
        Ok(if busy == 0 {
            Emptied::Yes
        } else {
            Emptied::ReaderInTheWay
        })
    }
}

enum Emptied {
    Yes,
    ReaderInTheWay,
}

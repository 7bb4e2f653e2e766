//! The connection that writes, held for good, and the transactions on it.
//!
//! A pool asks a connection that comes back whether it is still there, and lends it again only then: a round trip more for
//! each batch. So this one never goes back. And each turn to the database and back costs more than the rows of a batch, so
//! the end of a transaction travels with its last statements, and for a batch that is nothing but one insert its beginning
//! too.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, TransactionTrait,
    Value,
};

use super::failure::is_busy;
use crate::sql::statement;

/// Statements that give no answer, with the values of all of them.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

/// How PostgreSQL plans the statements of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plans {
    /// As it likes: after five runs mostly once for all. For statements that can be run in one way only.
    Kept,
    /// Each time anew. A plan that was made while a table was short reads all of it, and is kept while the table grows to
    /// a thousand times that.
    Fresh,
}

/// How far an attempt to commit has come.
#[derive(Debug)]
pub(crate) enum Uncommitted {
    /// The last statements failed, and nothing of the transaction is left.
    NotWritten(DbErr),
    /// Nobody knows.
    Unknown(DbErr),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    connection: DatabaseConnection,
    /// SeaORM lends a connection as a transaction only. This one is ended as soon as it has begun; those that are written
    /// in are begun and ended by statements of our own.
    lent: DatabaseTransaction,
    backend: DbBackend,
    begun: bool,
}

impl Session {
    /// Takes the one connection of a pool.
    pub(crate) async fn on(connection: DatabaseConnection) -> Result<Self, DbErr> {
        let lent = connection.begin().await?;
        lent.execute_unprepared("COMMIT").await?;
        Ok(Self {
            backend: connection.get_database_backend(),
            connection,
            lent,
            begun: false,
        })
    }

    /// What statements run on: in a transaction if one has begun, else each by itself.
    pub(crate) const fn txn(&self) -> &DatabaseTransaction {
        &self.lent
    }

    /// Begins a transaction that may write. On SQLite it takes the right to write at once: one that began by reading could
    /// not get it later.
    pub(crate) async fn begin(&mut self, plans: Plans) -> Result<(), DbErr> {
        self.lent.execute_unprepared(self.beginning(plans)).await?;
        self.begun = true;
        Ok(())
    }

    /// What is set, is set for the transaction: a pooler in between may lend the next one another connection.
    const fn beginning(&self, plans: Plans) -> &'static str {
        match (self.backend, plans) {
            (DbBackend::Sqlite, _) => "BEGIN IMMEDIATE",
            (_, Plans::Kept) => "BEGIN",
            (_, Plans::Fresh) => "BEGIN; SET LOCAL plan_cache_mode = force_custom_plan",
        }
    }

    /// Undoes what was written since [`Self::begin`].
    pub(crate) async fn roll_back(&mut self) -> Result<(), DbErr> {
        if std::mem::take(&mut self.begun) {
            self.lent.execute_unprepared("ROLLBACK").await?;
        }
        Ok(())
    }

    /// Runs the last statements and commits. On SQLite they may be a transaction by themselves, where none has begun.
    pub(crate) async fn commit(&mut self, closing: Option<Closing>) -> Result<(), Uncommitted> {
        match (closing, self.backend) {
            (Some(Closing { sql, values }), DbBackend::Sqlite) => {
                let beginning = match self.begun {
                    true => String::new(),
                    false => format!("{}; ", self.beginning(Plans::Kept)),
                };
                self.begun = true;
                let whole = format!("{beginning}{sql}; COMMIT");
                if let Err(error) = self.run(&whole, values).await {
                    return Err(self.not_committed(error).await);
                }
                self.begun = false;
            }
            (closing, _) => {
                if let Some(Closing { sql, values }) = closing
                    && let Err(error) = self.run(&sql, values).await
                {
                    return Err(Uncommitted::NotWritten(error));
                }
                let committed = self.lent.execute_unprepared("COMMIT").await;
                committed.map_err(Uncommitted::Unknown)?;
                self.begun = false;
            }
        }
        Ok(())
    }

    async fn run(&self, sql: &str, values: Vec<Value>) -> Result<(), DbErr> {
        let run = statement(self.backend, sql, values);
        self.lent.execute_raw(run).await.map(drop)
    }

    /// What a failure says of statements that had the commit among them. What can be rolled back was not committed, nor was
    /// what never got the right to write. If it was the commit that failed, its frames may be in the log.
    async fn not_committed(&mut self, error: DbErr) -> Uncommitted {
        if self.roll_back().await.is_ok() || is_busy(&error) {
            Uncommitted::NotWritten(error)
        } else {
            Uncommitted::Unknown(error)
        }
    }

    /// Gives the connection back and closes it.
    pub(crate) async fn close(self) -> Result<(), DbErr> {
        if !self.begun {
            // Something for SeaORM to roll back.
            self.lent.execute_unprepared("BEGIN").await.ok();
        }
        self.lent.rollback().await.ok();
        self.connection.close().await
    }
}

#[cfg(test)]
mod tests;

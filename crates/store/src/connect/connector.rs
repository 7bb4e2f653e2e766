//! What the two databases do differently around a transaction.

use std::time::Duration;

use posthaste_domain::clock::{Clock, SystemClock, Timestamp};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tracing::info;

use super::{OpenError, postgres::Postgres, sqlite::Sqlite};
use crate::{
    convert,
    sql::statement,
    writer::{Plans, Session},
};

/// Makes connections to one database.
#[derive(Debug, Clone)]
pub(crate) enum Connector {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Connector {
    pub(crate) const fn backend(&self) -> DbBackend {
        match self {
            Self::Sqlite(_) => DbBackend::Sqlite,
            Self::Postgres(_) => DbBackend::Postgres,
        }
    }

    /// The one connection that writes.
    pub(crate) async fn writer(&self) -> Result<DatabaseConnection, OpenError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.writer().await,
            Self::Postgres(postgres) => postgres.writer().await,
        }
    }

    pub(super) async fn readers(&self, connections: u32) -> Result<DatabaseConnection, DbErr> {
        match self {
            Self::Sqlite(sqlite) => sqlite.readers(connections).await,
            Self::Postgres(postgres) => postgres.readers(connections).await,
        }
    }

    /// Connections of a caller's own that write, as durable as the writer's.
    pub(crate) async fn callers(&self, connections: u32) -> Result<DatabaseConnection, DbErr> {
        match self {
            Self::Sqlite(sqlite) => sqlite.callers(connections).await,
            Self::Postgres(postgres) => postgres.readers(connections).await,
        }
    }

    /// Begins a transaction that may write. On SQLite it takes the right to write at once: one that began by reading
    /// could not get it later.
    pub(crate) async fn begin(
        &self,
        connection: &DatabaseConnection,
    ) -> Result<DatabaseTransaction, DbErr> {
        match self {
            Self::Sqlite(_) => {
                let immediate = TransactionOptions {
                    sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                    ..TransactionOptions::default()
                };
                connection.begin_with_options(immediate).await
            }
            Self::Postgres(_) => connection.begin().await,
        }
    }

    /// The connection that writes, held.
    pub(crate) async fn session(&self) -> Result<Session, OpenError> {
        Ok(Session::on(self.writer().await?).await?)
    }

    /// Opens the connection that writes where it is lost.
    pub(crate) async fn ready(&self, session: &mut Option<Session>) -> Result<(), DbErr> {
        if session.is_none() {
            let opened = self.session().await;
            *session = Some(opened.map_err(|error| DbErr::Custom(error.to_string()))?);
            info!("the database is open again");
        }
        Ok(())
    }

    /// Begins a transaction on it. A server may have ended the connection since the last one: nothing was written on it by
    /// then, so another one is tried at once; to ask beforehand would cost every transaction a round trip.
    pub(crate) async fn begin_writing(
        &self,
        session: &mut Option<Session>,
        plans: Plans,
    ) -> Result<(), DbErr> {
        if let Some(open) = session {
            let begun = open.begin(plans).await;
            let (Self::Postgres(_), Err(error)) = (self, &begun) else {
                return begun;
            };
            info!(
                error = error as &dyn std::error::Error,
                "the connection that writes is lost"
            );
        }
        if let Some(lost) = session.take() {
            // How it ends matters to nobody any more.
            lost.close().await.ok();
        }
        self.ready(session).await?;
        match session {
            Some(open) => open.begin(plans).await,
            None => Ok(()),
        }
    }

    /// The time that stored times are compared with: the database's where several nodes share it, whatever their own
    /// clocks say.
    pub(crate) async fn now(
        &self,
        connection: &impl ConnectionTrait,
        clock: &dyn Clock,
    ) -> Result<Timestamp, DbErr> {
        match self {
            Self::Sqlite(_) => Ok(clock.now()),
            Self::Postgres(_) => {
                let asked = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
                let row = connection
                    .query_one_raw(statement(DbBackend::Postgres, asked, []))
                    .await?;
                let row = row.ok_or_else(|| DbErr::RecordNotFound("the time".to_owned()))?;
                convert::timestamp(row.try_get_by_index(0)?)
                    .map_err(|error| DbErr::Custom(error.to_string()))
            }
        }
    }

    /// Monotonic time to watch [`Self::now`] by: that of the same clock, or of this machine beside a database's.
    pub(crate) fn monotonic(&self, clock: &dyn Clock) -> Duration {
        match self {
            Self::Sqlite(_) => clock.monotonic(),
            Self::Postgres(_) => SystemClock.monotonic(),
        }
    }

    /// Bytes free where the database lies; `None` if that is not this machine's business.
    pub(crate) fn free_space(&self) -> Option<u64> {
        match self {
            Self::Sqlite(sqlite) => sqlite.free_space(),
            Self::Postgres(_) => None,
        }
    }
}

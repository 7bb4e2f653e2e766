//! A PostgreSQL database: one connection that writes with synced commits (asserted, not assumed), and readers.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement,
    sqlx::Executor,
};
use secrecy::{ExposeSecret, SecretString};

use super::OpenError;

/// Longest wait for a connection. While the database is away the pool asks again after pauses of up to a fifth of it, and one
/// pause of the writer and one of a reader lie between the database's return and the next mail (R10).
const PATIENCE: Duration = Duration::from_secs(5);

/// For reads, see [`crate::writer::Plans::Fresh`]. Behind a pooler the setting may reach another connection, and that is
/// then planned so.
const FRESH_PLANS: &str = "SET plan_cache_mode = force_custom_plan";

/// Makes connections to one database.
#[derive(Debug, Clone)]
pub(crate) struct Postgres {
    pub(super) url: SecretString,
}

impl Postgres {
    /// A connection that writes.
    pub(crate) async fn writer(&self) -> Result<DatabaseConnection, OpenError> {
        let mut options = self.options(1, PATIENCE);
        // Whoever writes begins a transaction first, which finds out as well (`Connector::begin_writing`).
        options.test_before_acquire(false);
        let connection = Database::connect(options).await?;
        // `remote_apply` waits for more than `on`; everything else answers before the disk has it.
        let synced = ["on", "remote_apply"];
        let found = setting(&connection, "synchronous_commit").await?;
        if !synced.contains(&found.as_str()) {
            return Err(OpenError::NotDurable {
                setting: "synchronous_commit",
                wanted: "on",
                found,
            });
        }
        for name in ["fsync", "full_page_writes"] {
            let found = setting(&connection, name).await?;
            if found != "on" {
                return Err(OpenError::NotDurable {
                    setting: name,
                    wanted: "on",
                    found,
                });
            }
        }
        Ok(connection)
    }

    /// Connections that read.
    pub(super) async fn readers(&self, connections: u32) -> Result<DatabaseConnection, DbErr> {
        let mut options = self.options(connections.max(1), PATIENCE);
        options.map_sqlx_postgres_pool_opts(|pool| {
            pool.after_connect(|connection, _| {
                Box::pin(async { connection.execute(FRESH_PLANS).await.map(drop) })
            })
        });
        Database::connect(options).await
    }

    /// A connection for one purpose, had within `patience`: a beat must not be late.
    pub(crate) async fn single(&self, patience: Duration) -> Result<DatabaseConnection, DbErr> {
        Database::connect(self.options(1, patience)).await
    }

    pub(crate) fn url(&self) -> &str {
        self.url.expose_secret()
    }

    fn options(&self, connections: u32, patience: Duration) -> ConnectOptions {
        let mut options = ConnectOptions::new(self.url());
        options
            .max_connections(connections)
            .min_connections(0)
            .sqlx_logging(false)
            // A connection that a restart of the database has ended is found before it is used.
            .test_before_acquire(true)
            .connect_timeout(patience)
            .acquire_timeout(patience)
            // SQLx asks for exact floats, of which none is stored, by a parameter that PgBouncer refuses unless told.
            .map_sqlx_postgres_opts(|server| server.extra_float_digits(None));
        options
    }
}

async fn setting(connection: &DatabaseConnection, name: &'static str) -> Result<String, DbErr> {
    let asked = Statement::from_string(DbBackend::Postgres, format!("SHOW {name}"));
    let row = connection.query_one_raw(asked).await?;
    row.ok_or_else(|| DbErr::RecordNotFound(name.to_owned()))?
        .try_get_by_index(0)
}

#[cfg(test)]
mod tests;

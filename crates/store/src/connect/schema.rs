//! The schema of a database, when it is opened.

use posthaste_domain::clock::Timestamp;
use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};
use sea_orm_migration::{IntoSchemaManagerConnection, MigratorTrait};

use super::{Connector, Migrate, OpenError, Postgres};
use crate::history::weeks::{self, Keep};

/// Brings the schema up to date. On PostgreSQL one node does it while others wait, all in one transaction under a lock
/// that ends with it, so that it works behind a pooler too.
pub(super) async fn migrated<M: MigratorTrait>(
    connector: &Connector,
    connection: &DatabaseConnection,
    migrate: Migrate,
) -> Result<usize, OpenError> {
    /// Any number, the same in every release.
    const LOCK: &str = "SELECT pg_advisory_xact_lock(8025)";
    match connector {
        Connector::Sqlite(_) => migrated_on::<M, _>(connection, migrate).await,
        Connector::Postgres(_) => {
            let txn = connection.begin().await?;
            txn.execute_unprepared(LOCK).await?;
            let pending = migrated_on::<M, _>(&txn, migrate).await?;
            txn.commit().await?;
            Ok(pending)
        }
    }
}

async fn migrated_on<'c, M, C>(connection: &'c C, migrate: Migrate) -> Result<usize, OpenError>
where
    M: MigratorTrait,
    C: ConnectionTrait,
    &'c C: IntoSchemaManagerConnection<'c>,
{
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

/// Makes room for the history of the next weeks in a new schema; later the clean-up does. What has no week of its own is
/// stored all the same.
pub(super) async fn prepare_history(postgres: &Postgres, now: Timestamp) {
    let everything = Keep {
        bodies: Timestamp::MIN_UTC,
        messages: Timestamp::MIN_UTC,
    };
    if let Err(error) = weeks::arrange(postgres, now, &everything).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "no room was made for the history of the next weeks"
        );
    }
}

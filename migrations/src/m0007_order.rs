//! The order of ready jobs, keys that live jobs do not share, and jobs that run apart.

use sea_orm_migration::{prelude::*, schema};

/// Adds what orders and tells apart jobs, and creates `lanes`.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Table, column and type. `rank` orders the ready jobs of a lane; `unique_key` is shared by no two live jobs; behind
/// `expires_at` nobody wants the job any more. `cause` tells dead jobs (`dead`) from quarantined ones.
const COLUMNS: [(&str, &str, &str); 9] = [
    ("jobs", "rank", "bigint NOT NULL DEFAULT 0"),
    ("jobs", "tenant", "text NOT NULL DEFAULT ''"),
    ("jobs", "unique_key", "text"),
    ("jobs", "expires_at", "bigint"),
    ("dead_jobs", "tenant", "text NOT NULL DEFAULT ''"),
    ("dead_jobs", "unique_key", "text"),
    ("dead_jobs", "expires_at", "bigint"),
    ("dead_jobs", "last_error", "text"),
    ("dead_jobs", "cause", "text NOT NULL DEFAULT 'dead'"),
];

/// Partial: each holds only the rows that its question is about. `suspect` jobs are ready ones that run apart.
const INDEXES: [&str; 6] = [
    "CREATE INDEX IF NOT EXISTS jobs_ready_rank ON jobs (lane, rank, id) WHERE state = 'ready'",
    "CREATE INDEX IF NOT EXISTS jobs_suspect ON jobs (lane, rank, id) WHERE state = 'suspect'",
    "CREATE UNIQUE INDEX IF NOT EXISTS jobs_unique_key ON jobs (unique_key) WHERE unique_key IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS jobs_expiring ON jobs (expires_at) WHERE state <> 'leased' AND expires_at IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS dead_jobs_died_at ON dead_jobs (died_at, id)",
    "DROP INDEX IF EXISTS jobs_ready",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        for (table, column, kind) in COLUMNS {
            if !manager.has_column(table, column).await? {
                let add = format!("ALTER TABLE {table} ADD COLUMN {column} {kind}");
                connection.execute_unprepared(&add).await?;
            }
        }
        manager.create_table(lanes()).await?;
        for index in INDEXES {
            connection.execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        for index in [
            "jobs_ready_rank",
            "jobs_suspect",
            "jobs_unique_key",
            "jobs_expiring",
            "dead_jobs_died_at",
        ] {
            let drop = format!("DROP INDEX IF EXISTS {index}");
            connection.execute_unprepared(&drop).await?;
        }
        let ready =
            "CREATE INDEX IF NOT EXISTS jobs_ready ON jobs (lane, id) WHERE state = 'ready'";
        connection.execute_unprepared(ready).await?;
        manager
            .drop_table(Table::drop().table("lanes").to_owned())
            .await?;
        for (table, column, _) in COLUMNS {
            let drop = format!("ALTER TABLE {table} DROP COLUMN {column}");
            connection.execute_unprepared(&drop).await?;
        }
        Ok(())
    }
}

/// `rank` is the highest one that was given out, at most a second ago.
fn lanes() -> TableCreateStatement {
    Table::create()
        .table("lanes")
        .if_not_exists()
        .col(schema::text("lane").primary_key())
        .col(schema::big_integer("rank").default(0))
        .to_owned()
}

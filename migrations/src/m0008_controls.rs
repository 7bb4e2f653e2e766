//! What operators switch, and limits that hold for all nodes together.

use sea_orm_migration::{prelude::*, schema};

/// Adds to `lanes` and `nodes`, and creates `controls`.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Table, column and type. The tokens of a lane with a rate are spent up to `spent_until`; a node shows the `controls` that
/// it acts by.
const COLUMNS: [(&str, &str, &str); 3] = [
    ("lanes", "paused", "boolean NOT NULL DEFAULT false"),
    ("lanes", "spent_until", "bigint NOT NULL DEFAULT 0"),
    ("nodes", "controls", "bigint NOT NULL DEFAULT 0"),
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
        manager.create_table(controls()).await?;
        for statement in [
            "INSERT INTO controls (id, version) VALUES (1, 0) ON CONFLICT (id) DO NOTHING",
            "CREATE INDEX IF NOT EXISTS jobs_leased_lane ON jobs (lane) WHERE state = 'leased'",
        ] {
            connection.execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        connection
            .execute_unprepared("DROP INDEX IF EXISTS jobs_leased_lane")
            .await?;
        manager
            .drop_table(Table::drop().table("controls").to_owned())
            .await?;
        for (table, column, _) in COLUMNS {
            let drop = format!("ALTER TABLE {table} DROP COLUMN {column}");
            connection.execute_unprepared(&drop).await?;
        }
        Ok(())
    }
}

/// One row: `version` counts the changes that operators have made.
fn controls() -> TableCreateStatement {
    Table::create()
        .table("controls")
        .if_not_exists()
        .col(schema::integer("id").primary_key())
        .col(schema::big_integer("version"))
        .to_owned()
}

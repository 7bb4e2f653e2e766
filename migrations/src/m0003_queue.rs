//! Live work: the jobs, the dead ones that need a person, and the nodes that hold leases. `jobs` stays small: a finished
//! job leaves it in the transaction that writes its outcome.

use sea_orm_migration::{prelude::*, schema};

/// Creates `nodes`, `jobs` and `dead_jobs`.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [nodes(), jobs(), dead_jobs()] {
            manager.create_table(table).await?;
        }
        // Partial: each holds only the rows that its question is about, so a claim reads ready rows alone.
        for index in [
            "CREATE INDEX IF NOT EXISTS jobs_ready ON jobs (lane, id) WHERE state = 'ready'",
            "CREATE INDEX IF NOT EXISTS jobs_scheduled ON jobs (run_at, id) WHERE state = 'scheduled'",
            "CREATE INDEX IF NOT EXISTS jobs_leased ON jobs (boot_id) WHERE state = 'leased'",
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["dead_jobs", "jobs", "nodes"] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}

fn nodes() -> TableCreateStatement {
    Table::create()
        .table("nodes")
        .if_not_exists()
        .col(schema::uuid("boot_id").primary_key())
        .col(schema::big_integer("joined_at"))
        .col(schema::big_integer_null("left_at"))
        .to_owned()
}

/// `state` is `ready`, `scheduled` (then `run_at` counts) or `leased` (then `boot_id` holds it under `fence`).
fn jobs() -> TableCreateStatement {
    Table::create()
        .table("jobs")
        .if_not_exists()
        .col(schema::uuid("id").primary_key())
        .col(schema::text("lane"))
        .col(schema::text("kind"))
        .col(schema::text("payload"))
        .col(schema::text("state"))
        .col(schema::big_integer("run_at"))
        .col(schema::integer("attempts"))
        .col(schema::integer("crashes"))
        .col(schema::big_integer("fence"))
        .col(schema::uuid_null("boot_id"))
        .col(schema::text_null("last_error"))
        .col(schema::big_integer("created_at"))
        .to_owned()
}

fn dead_jobs() -> TableCreateStatement {
    Table::create()
        .table("dead_jobs")
        .if_not_exists()
        .col(schema::uuid("id").primary_key())
        .col(schema::text("lane"))
        .col(schema::text("kind"))
        .col(schema::text("payload"))
        .col(schema::integer("attempts"))
        .col(schema::integer("crashes"))
        .col(schema::big_integer("fence"))
        .col(schema::text("reason"))
        .col(schema::big_integer("created_at"))
        .col(schema::big_integer("died_at"))
        .to_owned()
}

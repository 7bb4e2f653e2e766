//! Rates of transports and of the domains that they send to.

use sea_orm_migration::{prelude::*, schema, sea_orm::DbBackend};

/// Creates `rates`: the tokens of a bucket are spent up to `spent_until`, as those of a lane are.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// As every indexed text.
const BY_BYTES: &str = r#"ALTER TABLE rates ALTER COLUMN bucket TYPE text COLLATE "C""#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let rates = Table::create()
            .table("rates")
            .if_not_exists()
            .col(schema::text("bucket").primary_key())
            .col(schema::big_integer("spent_until"))
            .to_owned();
        manager.create_table(rates).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            manager
                .get_connection()
                .execute_unprepared(BY_BYTES)
                .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("rates").to_owned())
            .await
    }
}

//! Conversations with servers.

use sea_orm_migration::{prelude::*, schema};

/// Adds `transcript` to `attempts`: with the first of the rows of one run.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.has_column("attempts", "transcript").await? {
            return Ok(());
        }
        let add = Table::alter()
            .table("attempts")
            .add_column(schema::text_null("transcript"))
            .to_owned();
        manager.alter_table(add).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = Table::alter()
            .table("attempts")
            .drop_column("transcript")
            .to_owned();
        manager.alter_table(drop).await
    }
}

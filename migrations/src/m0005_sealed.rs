//! Data of templates that is encrypted at rest.

use sea_orm_migration::{prelude::*, schema};

/// Adds `sealed` to `message_bodies`: instead of `variables` where they hold something that opens an account.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.has_column("message_bodies", "sealed").await? {
            return Ok(());
        }
        let add = Table::alter()
            .table("message_bodies")
            .add_column(schema::binary_null("sealed"))
            .to_owned();
        manager.alter_table(add).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = Table::alter()
            .table("message_bodies")
            .drop_column("sealed")
            .to_owned();
        manager.alter_table(drop).await
    }
}

//! Mail for later.

use sea_orm_migration::{prelude::*, schema};

/// Adds `scheduled_at` to `messages`: when a mail is due that is not due at once.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.has_column("messages", "scheduled_at").await? {
            return Ok(());
        }
        let add = Table::alter()
            .table("messages")
            .add_column(schema::big_integer_null("scheduled_at"))
            .to_owned();
        manager.alter_table(add).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = Table::alter()
            .table("messages")
            .drop_column("scheduled_at")
            .to_owned();
        manager.alter_table(drop).await
    }
}

//! Answers that are kept with their idempotency keys.

use sea_orm_migration::{prelude::*, schema};

/// Adds `answer_status` and `answer_body` to `idempotency_keys`: what a repeat is answered. Both are empty in rows of
/// releases that did not keep it.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, column) in [
            ("answer_status", schema::integer_null("answer_status")),
            ("answer_body", schema::text_null("answer_body")),
        ] {
            if manager.has_column("idempotency_keys", name).await? {
                continue;
            }
            let add = Table::alter()
                .table("idempotency_keys")
                .add_column(column)
                .to_owned();
            manager.alter_table(add).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["answer_body", "answer_status"] {
            let drop = Table::alter()
                .table("idempotency_keys")
                .drop_column(name)
                .to_owned();
            manager.alter_table(drop).await?;
        }
        Ok(())
    }
}

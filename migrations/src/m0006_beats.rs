//! Nodes that judge each other.

use sea_orm_migration::{prelude::*, schema};

/// Adds `beat` to `nodes`: a counter that a live node raises every second where nodes share a database.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.has_column("nodes", "beat").await? {
            return Ok(());
        }
        let add = Table::alter()
            .table("nodes")
            .add_column(schema::big_integer("beat").default(0))
            .to_owned();
        manager.alter_table(add).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = Table::alter().table("nodes").drop_column("beat").to_owned();
        manager.alter_table(drop).await
    }
}

//! Mail that a server may have taken although no reply came.

use sea_orm_migration::{prelude::*, schema};

/// Adds `doubt_hash` and `doubt_transport` to `deliveries`: the bytes that may have been taken, and the way they went.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            ("doubt_hash", schema::var_binary_null("doubt_hash", 32)),
            ("doubt_transport", schema::text_null("doubt_transport")),
        ];
        for (name, column) in columns {
            if !manager.has_column("deliveries", name).await? {
                let add = Table::alter()
                    .table("deliveries")
                    .add_column(column)
                    .to_owned();
                manager.alter_table(add).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["doubt_hash", "doubt_transport"] {
            let drop = Table::alter()
                .table("deliveries")
                .drop_column(column)
                .to_owned();
            manager.alter_table(drop).await?;
        }
        Ok(())
    }
}

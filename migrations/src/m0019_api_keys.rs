//! API keys that are made at run time.

use sea_orm_migration::{prelude::*, schema};

/// Creates `api_keys`. Of the text of a key there is its SHA-256, and the beginning by which people tell keys apart.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let make = Table::create()
            .table("api_keys")
            .if_not_exists()
            .col(schema::uuid("id").primary_key())
            .col(schema::text("owner"))
            .col(schema::text("name"))
            .col(schema::binary("hash").unique_key())
            .col(schema::text("beginning"))
            .col(schema::text("scopes"))
            .col(schema::text_null("streams"))
            .col(schema::text_null("from_domains"))
            .col(schema::big_integer("created_at"))
            .col(schema::big_integer_null("expires_at"))
            .col(schema::big_integer_null("last_used_at"))
            .to_owned();
        manager.create_table(make).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = Table::drop().table("api_keys").if_exists().to_owned();
        manager.drop_table(drop).await
    }
}

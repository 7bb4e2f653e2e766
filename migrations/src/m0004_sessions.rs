//! Log-ins, and what was asked for in account mails.

use sea_orm_migration::{prelude::*, schema};

/// Creates `sessions` and `account_mail_requests`.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(sessions()).await?;
        manager.create_table(account_mail_requests()).await?;
        for (table, columns) in [
            ("sessions", &["user_id"] as &[&str]),
            ("sessions", &["expires_at"]),
            ("refresh_tokens", &["family"]),
            ("account_mail_requests", &["address_hash", "at"]),
            ("account_mail_requests", &["at"]),
        ] {
            let mut index = Index::create();
            index
                .if_not_exists()
                .name(format!("{table}_{}", columns.join("_")))
                .table(table);
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["account_mail_requests", "sessions"] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        manager
            .drop_index(Index::drop().name("refresh_tokens_family").to_owned())
            .await
    }
}

/// `id` is the `family` of its refresh tokens. The access token stands here, so that whatever ends the session ends it
/// too. `expires_at` is that of the newest refresh token.
fn sessions() -> TableCreateStatement {
    Table::create()
        .table("sessions")
        .if_not_exists()
        .col(schema::uuid("id").primary_key())
        .col(schema::uuid("user_id"))
        .col(schema::var_binary("access_hash", 32).unique_key())
        .col(schema::big_integer("access_expires_at"))
        .col(schema::big_integer("created_at"))
        .col(schema::big_integer("expires_at"))
        .col(schema::big_integer_null("ended_at"))
        .foreign_key(
            ForeignKey::create()
                .from("sessions", "user_id")
                .to("users", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

/// Counted whether or not the address has an account; of the address only a hash is kept.
fn account_mail_requests() -> TableCreateStatement {
    Table::create()
        .table("account_mail_requests")
        .if_not_exists()
        .col(schema::big_pk_auto("id"))
        .col(schema::var_binary("address_hash", 32))
        .col(schema::big_integer("at"))
        .to_owned()
}

//! Users and their tokens. Of a token only the SHA-256 is stored.

use sea_orm_migration::{prelude::*, schema};

/// Creates `users`, `one_time_tokens` and `refresh_tokens`.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(users()).await?;
        manager.create_table(one_time_tokens()).await?;
        manager.create_table(refresh_tokens()).await?;
        for (table, column) in [
            ("one_time_tokens", "user_id"),
            ("one_time_tokens", "expires_at"),
            ("refresh_tokens", "user_id"),
            ("refresh_tokens", "expires_at"),
        ] {
            let name = format!("{table}_{column}");
            manager
                .create_index(
                    Index::create()
                        .if_not_exists()
                        .name(name)
                        .table(table)
                        .col(column)
                        .to_owned(),
                )
                .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["refresh_tokens", "one_time_tokens", "users"] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}

/// `email` is the address as registered, `email_key` the spelling by which it is unique.
fn users() -> TableCreateStatement {
    Table::create()
        .table("users")
        .if_not_exists()
        .col(schema::uuid("id").primary_key())
        .col(schema::text("email"))
        .col(schema::text_uniq("email_key"))
        .col(schema::text_null("display_name"))
        .col(schema::text("password_hash"))
        .col(schema::text("status"))
        .col(schema::big_integer("created_at"))
        .col(schema::big_integer_null("confirmed_at"))
        .to_owned()
}

fn one_time_tokens() -> TableCreateStatement {
    Table::create()
        .table("one_time_tokens")
        .if_not_exists()
        .col(schema::var_binary("hash", 32).primary_key())
        .col(schema::uuid("user_id"))
        .col(schema::text("purpose"))
        .col(schema::big_integer("expires_at"))
        .col(schema::big_integer_null("spent_at"))
        .foreign_key(&mut of_user("one_time_tokens"))
        .to_owned()
}

/// A family is one log-in: each refresh spends a row and adds the next one of its family.
fn refresh_tokens() -> TableCreateStatement {
    Table::create()
        .table("refresh_tokens")
        .if_not_exists()
        .col(schema::var_binary("hash", 32).primary_key())
        .col(schema::uuid("family"))
        .col(schema::uuid("user_id"))
        .col(schema::big_integer("created_at"))
        .col(schema::big_integer("expires_at"))
        .col(schema::big_integer_null("spent_at"))
        .foreign_key(&mut of_user("refresh_tokens"))
        .to_owned()
}

fn of_user(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, "user_id")
        .to("users", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

//! History: messages as accepted, their deliveries and every attempt, the template versions they are pinned to, and the
//! idempotency keys they came under.

use sea_orm_migration::{prelude::*, schema};

/// Creates `template_versions`, `messages`, `message_bodies`, `deliveries`, `attempts` and `idempotency_keys`.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            template_versions(),
            messages(),
            message_bodies(),
            deliveries(),
            attempts(),
            idempotency_keys(),
        ] {
            manager.create_table(table).await?;
        }
        let of_message = Index::create()
            .if_not_exists()
            .name("deliveries_message")
            .table("deliveries")
            .col("message_id")
            .col("position")
            .unique()
            .to_owned();
        manager.create_index(of_message).await?;
        for (table, column) in [
            ("attempts", "message_id"),
            ("idempotency_keys", "created_at"),
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
        let tables = [
            "idempotency_keys",
            "attempts",
            "deliveries",
            "message_bodies",
            "messages",
            "template_versions",
        ];
        for table in tables {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}

/// By content hash; written once, never updated.
fn template_versions() -> TableCreateStatement {
    Table::create()
        .table("template_versions")
        .if_not_exists()
        .col(schema::text("id").primary_key())
        .col(schema::text("name"))
        .col(schema::text("files"))
        .col(schema::big_integer("created_at"))
        .to_owned()
}

fn messages() -> TableCreateStatement {
    Table::create()
        .table("messages")
        .if_not_exists()
        .col(schema::uuid("id").primary_key())
        .col(schema::text("owner"))
        .col(schema::text("stream"))
        .col(schema::text("message_id"))
        .col(schema::text("sender"))
        .col(schema::text("recipients"))
        .col(schema::text("reply_to"))
        .col(schema::text_null("subject"))
        .col(schema::text_null("template_name"))
        .col(schema::text_null("template_version"))
        .col(schema::text("headers"))
        .col(schema::text("tags"))
        .col(schema::text("metadata"))
        .col(schema::big_integer("created_at"))
        .col(schema::big_integer("expires_at"))
        .to_owned()
}

/// Large and written once; apart from `messages`, so that lists do not read past bodies.
fn message_bodies() -> TableCreateStatement {
    Table::create()
        .table("message_bodies")
        .if_not_exists()
        .col(schema::uuid("message_id").primary_key())
        .col(schema::text_null("html"))
        .col(schema::text_null("text"))
        .col(schema::text_null("variables"))
        .foreign_key(&mut of_message("message_bodies"))
        .to_owned()
}

/// One row a recipient: state, tries and the last reply.
fn deliveries() -> TableCreateStatement {
    Table::create()
        .table("deliveries")
        .if_not_exists()
        .col(schema::uuid("id").primary_key())
        .col(schema::uuid("message_id"))
        .col(schema::integer("position"))
        .col(schema::text("recipient"))
        .col(schema::text("state"))
        .col(schema::integer("tries"))
        .col(schema::big_integer_null("next_attempt_at"))
        .col(schema::big_integer("updated_at"))
        .foreign_key(&mut of_message("deliveries"))
        .to_owned()
}

/// Append only. `stale` marks what was reported by a worker that had lost the job meanwhile.
fn attempts() -> TableCreateStatement {
    Table::create()
        .table("attempts")
        .if_not_exists()
        .col(schema::big_pk_auto("id"))
        .col(schema::uuid("message_id"))
        .col(schema::uuid("delivery_id"))
        .col(schema::big_integer("fence"))
        .col(schema::boolean("stale"))
        .col(schema::big_integer("started_at"))
        .col(schema::big_integer("duration_us"))
        .col(schema::text("transport"))
        .col(schema::text_null("remote"))
        .col(schema::var_binary_null("body_hash", 32))
        .col(schema::text("stage"))
        .col(schema::text("class"))
        .col(schema::integer_null("code"))
        .col(schema::text_null("enhanced"))
        .col(schema::text("text"))
        .foreign_key(&mut of_message("attempts"))
        .to_owned()
}

fn idempotency_keys() -> TableCreateStatement {
    Table::create()
        .table("idempotency_keys")
        .if_not_exists()
        .col(schema::text("owner"))
        .col(schema::text("route"))
        .col(schema::text("key"))
        .col(schema::var_binary("fingerprint", 32))
        .col(schema::uuid("message_id"))
        .col(schema::big_integer("created_at"))
        .primary_key(Index::create().col("owner").col("route").col("key"))
        .to_owned()
}

fn of_message(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, "message_id")
        .to("messages", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

//! Lists of messages: by sender, recipient, subject, stream, template and tag, the newest first.

use sea_orm_migration::{prelude::*, schema, sea_orm::DbBackend};

use crate::m0011_upkeep::BY_BYTES;

/// Adds `sender_address` to `messages`, a table of tags, and the indexes by which messages are listed.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Each ends with the message's id, so that a page is read in its order. Subjects compare byte by byte, for their beginning is
/// what is asked for.
const INDEXES: [(&str, &str); 7] = [
    ("messages_listed", "messages (owner, id)"),
    ("messages_by_stream", "messages (owner, stream, id)"),
    (
        "messages_by_template",
        "messages (owner, template_name, id) WHERE template_name IS NOT NULL",
    ),
    ("messages_by_sender", "messages (owner, sender_address, id)"),
    (
        "messages_by_subject",
        "messages (owner, (lower(subject)) COLLATE_BYTES, id)",
    ),
    (
        "deliveries_by_recipient",
        "deliveries ((lower(recipient)), message_id)",
    ),
    (
        "deliveries_ended_badly",
        "deliveries (state, message_id) WHERE state NOT IN ('queued', 'deferred', 'delivered')",
    ),
];

const TAGS: &str = "CREATE TABLE IF NOT EXISTS message_tags (\
    owner TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, message_id UUID_TYPE NOT NULL, \
    PRIMARY KEY (owner, name, value, message_id))";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let connection = manager.get_connection();
        let (address, uuid, bytes) = match backend {
            DbBackend::Postgres => ("(sender::json) ->> 'address'", "uuid", "COLLATE \"C\""),
            _ => ("json_extract(sender, '$.address')", "uuid_text", ""),
        };
        if !manager.has_column("messages", "sender_address").await? {
            let add = Table::alter()
                .table("messages")
                .add_column(schema::text_null("sender_address"))
                .to_owned();
            manager.alter_table(add).await?;
        }
        let fill = format!(
            "UPDATE messages SET sender_address = lower({address}) WHERE sender_address IS NULL"
        );
        connection.execute_unprepared(&fill).await?;
        let tags = TAGS.replace("UUID_TYPE", uuid);
        connection.execute_unprepared(&tags).await?;
        let by_message =
            "CREATE INDEX IF NOT EXISTS message_tags_of_message ON message_tags (message_id)";
        connection.execute_unprepared(by_message).await?;
        for (name, of) in INDEXES {
            let of = of.replace("COLLATE_BYTES", bytes);
            let make = format!("CREATE INDEX IF NOT EXISTS {name} ON {of}");
            connection.execute_unprepared(&make).await?;
        }
        if backend == DbBackend::Postgres {
            connection.execute_unprepared(BY_BYTES).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        for (name, _) in INDEXES {
            let drop = format!("DROP INDEX IF EXISTS {name}");
            connection.execute_unprepared(&drop).await?;
        }
        connection
            .execute_unprepared("DROP TABLE IF EXISTS message_tags")
            .await?;
        let drop = Table::alter()
            .table("messages")
            .drop_column("sender_address")
            .to_owned();
        manager.alter_table(drop).await
    }
}

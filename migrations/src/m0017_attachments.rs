//! Files that travel with mail.

use sea_orm_migration::{prelude::*, schema, sea_orm::DbBackend};

/// Adds `attachments` to `messages`: their names, types and sizes as JSON; and a table of what they hold, in pieces,
/// beside the bodies: by the message's id, in parts where bodies are in parts, with the part of each week in which bodies have one.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Compressed by nobody: most files are, and one that is not would be copied once more.
const IN_PARTS: &str = r#"DO $$
DECLARE
    week record;
BEGIN
    CREATE TABLE IF NOT EXISTS attachments (
        message_id uuid NOT NULL, id uuid NOT NULL, piece integer NOT NULL, content bytea NOT NULL,
        PRIMARY KEY (message_id, id, piece)
    ) PARTITION BY RANGE (message_id);
    ALTER TABLE attachments ALTER COLUMN content SET STORAGE EXTERNAL;
    CREATE TABLE IF NOT EXISTS attachments_default PARTITION OF attachments DEFAULT;
    FOR week IN
        SELECT replace(part.relname, 'message_bodies', 'attachments') AS name, pg_get_expr(part.relpartbound, part.oid) AS bounds
        FROM pg_inherits JOIN pg_class part ON part.oid = inhrelid
        WHERE inhparent = 'message_bodies'::regclass AND part.relname <> 'message_bodies_default'
    LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF attachments %s', week.name, week.bounds);
    END LOOP;
END $$"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !manager.has_column("messages", "attachments").await? {
            let add = Table::alter()
                .table("messages")
                .add_column(schema::text_null("attachments"))
                .to_owned();
            manager.alter_table(add).await?;
        }
        if manager.get_database_backend() == DbBackend::Postgres {
            let connection = manager.get_connection();
            connection.execute_unprepared(IN_PARTS).await?;
            return Ok(());
        }
        let make = Table::create()
            .table("attachments")
            .if_not_exists()
            .col(schema::uuid("message_id"))
            .col(schema::uuid("id"))
            .col(schema::integer("piece"))
            .col(ColumnDef::new("content").blob().not_null())
            .primary_key(Index::create().col("message_id").col("id").col("piece"))
            .to_owned();
        manager.create_table(make).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = Table::drop().table("attachments").if_exists().to_owned();
        manager.drop_table(drop).await?;
        let drop = Table::alter()
            .table("messages")
            .drop_column("attachments")
            .to_owned();
        manager.alter_table(drop).await
    }
}

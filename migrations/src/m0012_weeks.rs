//! History in parts on PostgreSQL, so that a week of it can be dropped whole. SQLite deletes rows, in small steps.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

/// Makes `messages`, `message_bodies`, `deliveries` and `attempts` tables in parts, by the message's id, which is in the order
/// of time.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// What is there becomes the part without a week (`*_default`), as it stands: nothing is copied. Indexes are made anew over
/// all parts, and take over those of the old table. Keys of tables in parts hold the column by which they are parted.
///
/// Parts know no foreign keys here: those would be looked up for each row of a week that is dropped. Message, body,
/// deliveries and job are written in one transaction, and removed by nobody but the clean-up.
const IN_PARTS: &str = r#"DO $$
DECLARE
    whole record;
    found record;
    part text;
    indexes text[];
    index text;
BEGIN
    -- A part cannot have an identity of its own: all of them number their rows from one sequence.
    CREATE SEQUENCE IF NOT EXISTS attempts_number;
    PERFORM setval('attempts_number', (SELECT coalesce(max(id), 0) + 1 FROM attempts), false);
    IF (SELECT relkind <> 'p' FROM pg_class WHERE oid = 'attempts'::regclass) THEN
        ALTER TABLE attempts ALTER COLUMN id DROP IDENTITY IF EXISTS;
        ALTER TABLE attempts ALTER COLUMN id SET DEFAULT nextval('attempts_number');
    END IF;
    FOR whole IN SELECT * FROM (VALUES
        ('messages', 'id', 'id'), ('message_bodies', 'message_id', 'message_id'),
        ('deliveries', 'message_id', 'message_id, id'), ('attempts', 'message_id', 'message_id, id')
    ) AS tables (name, parted_by, key) LOOP
        CONTINUE WHEN (SELECT relkind = 'p' FROM pg_class WHERE oid = whole.name::regclass);
        FOR found IN
            SELECT conname, conrelid::regclass AS owner FROM pg_constraint
            WHERE contype = 'f' AND whole.name::regclass IN (conrelid, confrelid)
        LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.owner, found.conname);
        END LOOP;
        -- The key that begins with the message's id serves in its place.
        DROP INDEX IF EXISTS attempts_message_id;
        indexes := ARRAY(
            SELECT pg_get_indexdef(indexrelid) FROM pg_index
            WHERE indrelid = whole.name::regclass AND NOT indisprimary);
        part := whole.name || '_default';
        EXECUTE format('ALTER TABLE %I RENAME TO %I', whole.name, part);
        FOR found IN SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = part::regclass LOOP
            EXECUTE format('ALTER INDEX %I RENAME TO %I', found.relname, found.relname || '_default');
        END LOOP;
        IF whole.key <> whole.parted_by THEN
            EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', part, whole.name || '_pkey_default');
            EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I PRIMARY KEY (%s)', part, whole.name || '_pkey_default', whole.key);
        END IF;
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS, PRIMARY KEY (%s)) PARTITION BY RANGE (%I)',
            whole.name, part, whole.key, whole.parted_by);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I DEFAULT', whole.name, part);
        FOREACH index IN ARRAY indexes LOOP
            EXECUTE index;
        END LOOP;
    END LOOP;
    ALTER SEQUENCE attempts_number OWNED BY attempts.id;
END $$"#;

/// Back to one table each, with the rows of all parts.
const WHOLE: &str = r#"DO $$
DECLARE
    whole record;
    found record;
BEGIN
    ALTER SEQUENCE attempts_number OWNED BY NONE;
    FOR whole IN SELECT * FROM (VALUES
        ('messages', 'id'), ('message_bodies', 'message_id'), ('deliveries', 'id'), ('attempts', 'id')
    ) AS tables (name, key) LOOP
        CONTINUE WHEN (SELECT relkind <> 'p' FROM pg_class WHERE oid = whole.name::regclass);
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS)', whole.name || '_whole', whole.name);
        EXECUTE format('INSERT INTO %I SELECT * FROM %I', whole.name || '_whole', whole.name);
        EXECUTE format('DROP TABLE %I', whole.name);
        EXECUTE format('ALTER TABLE %I RENAME TO %I', whole.name || '_whole', whole.name);
        EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (%I)', whole.name, whole.key);
    END LOOP;
    ALTER SEQUENCE attempts_number OWNED BY attempts.id;
    CREATE UNIQUE INDEX IF NOT EXISTS deliveries_message ON deliveries (message_id, position);
    CREATE INDEX IF NOT EXISTS attempts_message_id ON attempts (message_id);
END $$"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Postgres {
            let connection = manager.get_connection();
            connection.execute_unprepared(IN_PARTS).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Postgres {
            manager.get_connection().execute_unprepared(WHOLE).await?;
        }
        Ok(())
    }
}

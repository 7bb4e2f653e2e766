//! What PostgreSQL has to know of the tables that it could not guess. SQLite needs none of it: it has no old versions of rows
//! to remove, and compares text by its bytes.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

/// Has `jobs` cleaned early and at full speed, and text in indexes compared by its bytes.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// By default a table is cleaned once a fifth of it has changed, and slowly. `jobs` is small and turns over its whole
/// content again and again: cleaning begins after so many dead rows, whatever lives, and does not pause. The columns that
/// change stand in the conditions of its indexes, so no update could stay within its page: room left free there
/// (`fillfactor`) would only make the table larger.
const HOT: &str = "ALTER TABLE jobs SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0)";

const USUAL: &str = "ALTER TABLE jobs RESET (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
    autovacuum_vacuum_insert_scale_factor, autovacuum_vacuum_insert_threshold,
    autovacuum_analyze_scale_factor, autovacuum_analyze_threshold, autovacuum_vacuum_cost_delay)";

/// The order of a language changes with the system's libraries, and an index that was built in another order finds its
/// rows no more; bytes stay.
pub(crate) const BY_BYTES: &str = r#"DO $$
DECLARE found record;
BEGIN
    FOR found IN
        SELECT DISTINCT c.relname, a.attname
        FROM pg_index i
        JOIN pg_class c ON c.oid = i.indrelid AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
        WHERE a.atttypid = 'text'::regtype AND a.attcollation <> '"C"'::regcollation
          AND c.relname <> 'seaql_migrations'
    LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I TYPE text COLLATE "C"', found.relname, found.attname);
    END LOOP;
END $$"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Postgres {
            for change in [HOT, BY_BYTES] {
                manager.get_connection().execute_unprepared(change).await?;
            }
        }
        Ok(())
    }

    /// The comparison by bytes stays: nothing relies on another one.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Postgres {
            manager.get_connection().execute_unprepared(USUAL).await?;
        }
        Ok(())
    }
}

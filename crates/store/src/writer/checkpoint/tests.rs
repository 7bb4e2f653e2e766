use sea_orm::TransactionTrait;
use tempfile::TempDir;

use super::*;

const MARK: u64 = 256 << 10;

/// A database file, and the writer's place beside its checkpoints.
struct Yard {
    _folder: TempDir,
    connector: Sqlite,
    writer: DatabaseConnection,
    checkpointer: Checkpointer,
}

impl Yard {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connector = Sqlite::of_test(folder.path());
        let writer = connector.writer().await.unwrap();
        let made = "CREATE TABLE t (a)";
        writer.execute_unprepared(made).await.unwrap();
        Self {
            _folder: folder,
            checkpointer: Checkpointer::new(connector.clone(), MARK),
            connector,
            writer,
        }
    }

    /// Writes so many batches of some thirty kilobytes, and says how long the log was at most.
    async fn write(&mut self, batches: u32) -> u64 {
        let mut longest = 0;
        for _ in 0..batches {
            let row = "INSERT INTO t VALUES (randomblob(30000))";
            self.writer.execute_unprepared(row).await.unwrap();
            longest = longest.max(self.checkpointer.log.bytes());
            self.checkpointer.between_batches().await;
        }
        longest
    }

    async fn rows(&self) -> i64 {
        let sql = Statement::from_string(DbBackend::Sqlite, "SELECT count(*) FROM t");
        let row = self.writer.query_one_raw(sql).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }
}

/// I35. The log begins anew above its mark, and soon again after a reader that has held it.
#[tokio::test]
async fn the_log_stays_near_its_mark_but_for_a_reader_and_comes_back_to_it() {
    let mut yard = Yard::new().await;
    let longest = yard.write(100).await;
    assert!(longest > MARK / 2 && longest < 2 * MARK, "{longest} bytes");
    let readers = yard.connector.checkpointer().await.unwrap();
    let reading = readers.begin().await.unwrap();
    let sql = Statement::from_string(DbBackend::Sqlite, "SELECT count(*) FROM t");
    reading.query_one_raw(sql).await.unwrap();
    let longest = yard.write(100).await;
    assert!(longest > 8 * MARK, "a reader holds it: {longest} bytes");
    reading.commit().await.unwrap();
    yard.write(20).await;
    let longest = yard.write(100).await;
    assert!(longest < 2 * MARK, "the reader is gone: {longest} bytes");
    yard.checkpointer.finish().await;
    assert_eq!(yard.checkpointer.log.bytes(), 0);
    assert_eq!(yard.rows().await, 320);
}

/// A mark that was raised for a reader does not outlast a log that began anew without a gap.
#[tokio::test]
async fn a_log_that_began_anew_by_itself_has_its_mark_again() {
    let mut yard = Yard::new().await;
    yard.write(4).await;
    yard.checkpointer.join().await;
    yard.checkpointer.next = 100 * MARK;
    // Nobody reads, writes or takes a step: a passive checkpoint reaches the end.
    let connection = yard.connector.checkpointer().await.unwrap();
    let reached = checkpoint(&connection, "PASSIVE").await.unwrap();
    assert!(matches!(reached, Reached::End));
    let longest = yard.write(100).await;
    assert!(longest < 2 * MARK, "{longest} bytes");
}

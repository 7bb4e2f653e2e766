use sea_orm::Statement;
use tempfile::TempDir;

use super::*;
use crate::connect::{Connector, Sqlite};

/// A database file with a table of unique numbers and one of references to it, and two connections that may write.
struct Yard {
    _folder: TempDir,
    session: Session,
    other: Session,
}

impl Yard {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connector = Connector::Sqlite(Sqlite::of_test(folder.path()));
        let session = connector.session().await.unwrap();
        let made = "CREATE TABLE t (a UNIQUE); \
             CREATE TABLE r (a REFERENCES t (a) DEFERRABLE INITIALLY DEFERRED)";
        session.txn().execute_unprepared(made).await.unwrap();
        Self {
            other: connector.session().await.unwrap(),
            _folder: folder,
            session,
        }
    }

    /// A batch by itself that is nothing but this text.
    async fn commit(&mut self, sql: &str) -> Result<(), Uncommitted> {
        let (sql, values) = (sql.to_owned(), Vec::new());
        self.session.commit(Some(Closing { sql, values })).await
    }

    /// What other connections see.
    async fn rows(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        let sql = Statement::from_string(DbBackend::Sqlite, sql);
        let row = self.other.txn().query_one_raw(sql).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }
}

/// I27. What is refused is refused whole, and the next batch is not.
#[tokio::test]
async fn a_text_that_breaks_a_constraint_writes_nothing() {
    let mut yard = Yard::new().await;
    yard.commit("INSERT INTO t VALUES (1)").await.unwrap();
    for begun in [false, true] {
        if begun {
            yard.session.begin(Plans::Kept).await.unwrap();
        }
        let twice = yard.commit("INSERT INTO t VALUES (2), (1)").await;
        assert!(matches!(twice, Err(Uncommitted::NotWritten(_))));
        assert_eq!(yard.rows("t").await, 1);
    }
    yard.commit("INSERT INTO t VALUES (3)").await.unwrap();
    assert_eq!(yard.rows("t").await, 2);
}

/// I27. A commit that was refused, and not one whose answer was lost.
#[tokio::test]
async fn a_commit_that_breaks_a_constraint_writes_nothing() {
    let mut yard = Yard::new().await;
    let without = yard.commit("INSERT INTO r VALUES (1)").await;
    assert!(matches!(without, Err(Uncommitted::NotWritten(_))));
    let with = "INSERT INTO r VALUES (1); INSERT INTO t VALUES (1)";
    yard.commit(with).await.unwrap();
    assert_eq!((yard.rows("r").await, yard.rows("t").await), (1, 1));
}

/// I27. Somebody else writes: the batch has not begun, and is worth another try.
#[tokio::test]
async fn a_text_that_never_began_is_not_written() {
    let mut yard = Yard::new().await;
    yard.other.begin(Plans::Kept).await.unwrap();
    let busy = yard.commit("INSERT INTO t VALUES (1)").await;
    assert!(matches!(busy, Err(Uncommitted::NotWritten(_))));
    yard.other.roll_back().await.unwrap();
    yard.commit("INSERT INTO t VALUES (1)").await.unwrap();
    assert_eq!(yard.rows("t").await, 1);
}

/// I27. Where the transaction is over and the text has failed, its commit may have been what failed: nobody is told that
/// nothing was written.
#[tokio::test]
async fn a_failure_after_the_end_of_the_transaction_is_unknown() {
    let mut yard = Yard::new().await;
    let ended = yard.commit("INSERT INTO t VALUES (1); COMMIT").await;
    assert!(matches!(ended, Err(Uncommitted::Unknown(_))));
    assert_eq!(yard.rows("t").await, 1);
}

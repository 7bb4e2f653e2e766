//! Enqueuing inside a transaction of the caller's own.

use std::time::Duration;

use posthaste_domain::{
    clock::{Clock, SystemClock},
    message::NewMessage,
    stores::{Accepted, MessageStore},
};
use posthaste_queue::{BootId, JobId, NewJob, Pushed, Queue};
use posthaste_store::{DatabasePlace, EnqueueError, Store};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, Statement,
    TransactionTrait,
};
use uuid::Uuid;

use crate::support::{Bench, message, owner, rows};

/// A caller with a table of its own in the same database.
struct Caller {
    bench: Bench,
    own: DatabaseConnection,
}

impl Caller {
    async fn new() -> Self {
        let bench = Bench::new().await;
        let own = bench.store.connect(2).await;
        let own = own.expect("the database can be reached");
        let table = "CREATE TABLE customers (id INTEGER PRIMARY KEY)";
        let made = own.execute_unprepared(table).await;
        made.expect("a table of its own");
        Self { bench, own }
    }

    fn store(&self) -> &Store {
        &self.bench.store
    }

    /// A transaction in which a customer was written.
    async fn begin(&self) -> DatabaseTransaction {
        let txn = self.store().begin(&self.own).await;
        let txn = txn.expect("nobody else writes for long");
        let insert = "INSERT INTO customers (id) SELECT count(*) FROM customers";
        let inserted = txn.execute_unprepared(insert).await;
        inserted.expect("one customer more");
        txn
    }

    async fn customers(&self) -> i64 {
        rows(&self.own, "customers").await
    }

    async fn is_stored(&self, message: &NewMessage) -> bool {
        let stored = self.store().message(&owner(), message.id).await;
        let stored = stored.expect("the database answers");
        stored.is_some_and(|stored| stored.message == *message)
    }

    async fn claimed(&self) -> Vec<JobId> {
        let claimed = self.bench.claim(BootId::random(), 100).await;
        claimed.iter().map(|job| job.meta.id).collect()
    }
}

fn job_of(message: &NewMessage) -> JobId {
    JobId::from_uuid(message.id.as_uuid())
}

#[tokio::test]
async fn rows_of_the_caller_and_the_mail_become_true_together() {
    let caller = Caller::new().await;
    let message = caller
        .bench
        .message(&["ada@example.com", "bob@example.com"]);
    let txn = caller.begin().await;
    let enqueued = caller.store().enqueue_in(&txn, &message).await.unwrap();
    assert!(!caller.is_stored(&message).await, "not before the commit");
    assert_eq!(caller.claimed().await, []);
    txn.commit().await.unwrap();
    enqueued.committed();
    assert!(caller.is_stored(&message).await);
    assert_eq!(caller.customers().await, 1);
    // Ready, not leased to anybody: nobody here could have known when to begin.
    assert_eq!(caller.claimed().await, [job_of(&message)]);
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_or_dropped_leaves_nothing() {
    let caller = Caller::new().await;
    let messages = [1, 2].map(|_| caller.bench.message(&["ada@example.com"]));
    let txn = caller.begin().await;
    let enqueued = caller.store().enqueue_in(&txn, &messages[0]).await.unwrap();
    txn.rollback().await.unwrap();
    // Said in error, it does no harm.
    enqueued.committed();
    let txn = caller.begin().await;
    let job = NewJob {
        id: JobId::from_uuid(Uuid::from_u128(7)),
        lane: "transactional".parse().unwrap(),
        kind: "case".into(),
        payload: "{}".into(),
        delay: Duration::ZERO,
        tenant: String::new(),
        unique: None,
        expires_in: None,
    };
    caller.store().enqueue_in(&txn, &messages[1]).await.unwrap();
    caller.store().push_in(&txn, &[job]).await.unwrap();
    drop(txn);
    for message in &messages {
        assert!(!caller.is_stored(message).await);
    }
    assert_eq!(caller.claimed().await, []);
    assert_eq!(caller.customers().await, 0);
    // The writer goes on.
    let message = caller.bench.message(&["ada@example.com"]);
    let accepted = caller.store().accept(message, None).await.unwrap();
    assert_eq!(accepted, Accepted::Stored);
}

/// P1. What a crash before the commit leaves: on SQLite the file and its log as they are in that moment, on PostgreSQL a
/// connection that ends.
#[tokio::test]
async fn a_crash_before_the_commit_leaves_nothing() {
    let caller = Caller::new().await;
    let before = caller.bench.message(&["ada@example.com"]);
    let after = caller.bench.message(&["ada@example.com"]);
    let txn = caller.begin().await;
    caller.store().enqueue_in(&txn, &before).await.unwrap();
    txn.commit().await.unwrap();
    let txn = caller.begin().await;
    caller.store().enqueue_in(&txn, &after).await.unwrap();
    let bench = match txn.get_database_backend() {
        DbBackend::Postgres => {
            let asked = Statement::from_string(DbBackend::Postgres, "SELECT pg_backend_pid()");
            let row = txn.query_one_raw(asked).await.unwrap().unwrap();
            let pid: i32 = row.try_get_by_index(0).unwrap();
            let end = format!("SELECT pg_terminate_backend({pid}, 5000)");
            caller.own.execute_unprepared(&end).await.unwrap();
            assert!(txn.commit().await.is_err());
            caller.bench
        }
        _ => caller.bench.image().await,
    };
    let stored = async |message: &NewMessage| bench.store.message(&owner(), message.id).await;
    assert!(stored(&before).await.unwrap().is_some());
    assert!(stored(&after).await.unwrap().is_none());
    let claimed = bench.claim(BootId::random(), 100).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(rows(&bench.connect().await, "customers").await, 1);
}

/// A failure in the middle leaves no half of a message behind, and the caller's transaction as it was.
#[tokio::test]
async fn what_fails_is_taken_back_alone() {
    let caller = Caller::new().await;
    let first = caller.bench.message(&["ada@example.com"]);
    let second = caller.bench.message(&["bob@example.com"]);
    // The last row that is written meets one that is there.
    let in_the_way = NewJob {
        id: job_of(&second),
        lane: "transactional".parse().unwrap(),
        kind: "case".into(),
        payload: "{}".into(),
        delay: Duration::from_secs(3600),
        tenant: String::new(),
        unique: None,
        expires_in: None,
    };
    caller.store().push(vec![in_the_way]).await.unwrap();
    let txn = caller.begin().await;
    caller.store().enqueue_in(&txn, &first).await.unwrap();
    let refused = caller.store().enqueue_in(&txn, &second).await.unwrap_err();
    assert!(matches!(&refused, EnqueueError::Database(_)), "{refused:?}");
    assert!(!refused.is_conflict());
    txn.commit().await.unwrap();
    assert!(caller.is_stored(&first).await);
    assert!(!caller.is_stored(&second).await);
    assert_eq!(caller.claimed().await, [job_of(&first)]);
    assert_eq!(caller.customers().await, 1);
    for table in ["messages", "message_bodies", "deliveries"] {
        assert_eq!(rows(&caller.own, table).await, 1, "{table}");
    }
}

#[tokio::test]
async fn jobs_of_any_kind_are_enqueued_once() {
    let caller = Caller::new().await;
    let job = |number, delay| NewJob {
        id: JobId::from_uuid(Uuid::from_u128(number)),
        lane: "transactional".parse().unwrap(),
        kind: "case".into(),
        payload: "{}".into(),
        delay: Duration::from_secs(delay),
        tenant: String::new(),
        unique: None,
        expires_in: None,
    };
    let txn = caller.begin().await;
    let jobs = [job(1, 0), job(2, 0), job(1, 0), job(3, 60)];
    let (pushed, _) = caller.store().push_in(&txn, &jobs).await.unwrap();
    use Pushed::{Known, Stored};
    assert_eq!(pushed, [Stored, Stored, Known, Stored]);
    txn.commit().await.unwrap();
    assert_eq!(caller.claimed().await, [jobs[0].id, jobs[1].id]);
    caller.bench.advance(Duration::from_secs(61)).await;
    caller.store().promote().await.unwrap();
    assert_eq!(caller.claimed().await, [jobs[3].id]);
}

/// P1. Synced commits are asserted, not assumed, on connections of the caller's own too.
#[tokio::test]
async fn a_transaction_that_would_not_be_synced_is_refused() {
    let caller = Caller::new().await;
    let own = caller.bench.connect().await;
    let setting = match own.get_database_backend() {
        DbBackend::Postgres => "SET synchronous_commit = off",
        _ => "PRAGMA synchronous = NORMAL",
    };
    own.execute_unprepared(setting).await.unwrap();
    let txn = own.begin().await.unwrap();
    let message = message(SystemClock.now(), &["ada@example.com"]);
    let refused = caller.store().enqueue_in(&txn, &message).await;
    assert!(
        matches!(&refused, Err(EnqueueError::NotDurable { .. })),
        "{refused:?}"
    );
}

/// I33. Callers find the disk as full as submits do.
#[tokio::test]
async fn at_the_disk_floor_nothing_is_enqueued() {
    let bench = Bench::with(|config| config.disk_floor = u64::MAX).await;
    let own = bench.store.connect(1).await.unwrap();
    let txn = bench.store.begin(&own).await.unwrap();
    let message = bench.message(&["ada@example.com"]);
    let refused = bench.store.enqueue_in(&txn, &message).await;
    match txn.get_database_backend() {
        // The disk is another machine's there.
        DbBackend::Postgres => assert!(refused.is_ok()),
        _ => assert!(matches!(refused, Err(EnqueueError::DiskFloor))),
    }
}

/// A submit beside an open transaction waits for it on SQLite, and is stored.
#[tokio::test]
async fn submits_pass_an_open_transaction_or_wait_for_it() {
    let caller = Caller::new().await;
    let messages = [1, 2].map(|_| caller.bench.message(&["ada@example.com"]));
    let txn = caller.begin().await;
    caller.store().enqueue_in(&txn, &messages[0]).await.unwrap();
    let accept = caller.store().accept(messages[1].clone(), None);
    let commit = async { txn.commit().await.unwrap() };
    let (accepted, ()) = tokio::join!(accept, commit);
    assert_eq!(accepted.unwrap(), Accepted::Stored);
    assert_eq!(caller.claimed().await.len(), 2);
}

/// A caller's connection is not this crate's: another kind of database is told at once.
#[tokio::test]
async fn a_transaction_on_another_kind_of_database_is_refused() {
    let bench = Bench::new().await;
    let folder = tempfile::tempdir().unwrap();
    let other = match bench.place() {
        DatabasePlace::Postgres(_) => {
            let file = folder.path().join("other.db");
            sea_orm::Database::connect(format!("sqlite:{}?mode=rwc", file.display())).await
        }
        DatabasePlace::Sqlite(_) => return,
    };
    let txn = other.unwrap().begin().await.unwrap();
    let message = bench.message(&["ada@example.com"]);
    let refused = bench.store.enqueue_in(&txn, &message).await;
    assert!(matches!(refused, Err(EnqueueError::OtherDatabase)));
}

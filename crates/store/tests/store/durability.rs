//! What survives, and what refuses to open.

use std::sync::Arc;

use posthaste_domain::{clock::ManualClock, stores::MessageStore};
use posthaste_migrations::{Migrator, MigratorTrait};
use posthaste_queue::{BootId, Queue};
use posthaste_store::{Migrate, OpenError, Store};

use crate::support::{Bench, config, open, owner};

/// I2. The jobs of a process that died are ready again at the next start, and a crash is counted for each.
#[tokio::test]
async fn whoever_opens_the_file_takes_back_the_leases_of_the_dead() {
    let bench = Bench::new().await;
    for _ in 0..3 {
        bench
            .store
            .accept(bench.message(&["ada@example.com"]), None)
            .await
            .unwrap();
    }
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    assert_eq!(bench.claim(boot, 2).await.len(), 2);
    let (bench, opened) = bench.reopen().await;
    assert_eq!((opened.recovered, opened.migrations), (2, 0));
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    let claimed = bench.claim(boot, 9).await;
    let counted: Vec<_> = claimed
        .iter()
        .map(|job| (job.meta.attempt, job.meta.crashes))
        .collect();
    assert_eq!(counted, [(1, 1), (1, 1), (1, 0)]);
}

/// I2. A second process is refused while the first one lives.
#[tokio::test]
async fn a_file_is_served_by_one_process_at_a_time() {
    let bench = Bench::new().await;
    let second = open(bench.folder.path(), &bench.clock).await;
    assert!(matches!(second, Err(OpenError::InUse(_))), "{second:?}");
    let message = bench.message(&["ada@example.com"]);
    bench.store.accept(message.clone(), None).await.unwrap();
    let (bench, _) = bench.reopen().await;
    assert!(
        bench
            .store
            .message(&owner(), message.id)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn pending_migrations_are_refused_where_they_are_not_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(
        posthaste_domain::clock::Timestamp::UNIX_EPOCH,
    ));
    let refused = Store::open::<Migrator>(config(folder.path()), clock, Migrate::Refuse).await;
    let all = Migrator::migrations().len();
    assert!(
        matches!(refused, Err(OpenError::Pending(pending)) if pending == all),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.path = folder.path().join("missing").join("posthaste.db");
    let clock = Arc::new(ManualClock::at(
        posthaste_domain::clock::Timestamp::UNIX_EPOCH,
    ));
    let refused = Store::open::<Migrator>(config, clock, Migrate::Apply).await;
    let Err(OpenError::NotWritable { path, .. }) = &refused else {
        panic!("{refused:?}")
    };
    assert!(path.starts_with(folder.path()));
}

#[tokio::test]
async fn a_closed_store_refuses_and_has_written_what_it_took() {
    let bench = Bench::new().await;
    let message = bench.message(&["ada@example.com"]);
    bench.store.accept(message.clone(), None).await.unwrap();
    bench.store.close().await;
    assert!(
        bench
            .store
            .accept(bench.message(&["bob@example.com"]), None)
            .await
            .is_err()
    );
    let (bench, _) = bench.reopen().await;
    assert!(
        bench
            .store
            .message(&owner(), message.id)
            .await
            .unwrap()
            .is_some()
    );
}

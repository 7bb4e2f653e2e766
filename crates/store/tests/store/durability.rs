//! What survives, and what refuses to open.

use std::sync::Arc;

use posthaste_domain::{clock::ManualClock, stores::MessageStore};
use posthaste_migrations::{Migrator, MigratorTrait};
use posthaste_store::{DatabasePlace, Migrate, OpenError, Store};

use crate::support::{Bench, config, owner};

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
    config.database = DatabasePlace::Sqlite(folder.path().join("missing").join("posthaste.db"));
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

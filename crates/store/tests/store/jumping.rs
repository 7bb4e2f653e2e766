//! What a clock that is set while the node runs does not do. (The database's own clock, which counts on PostgreSQL, is
//! nobody's to set here.)

use std::time::Duration;

use posthaste_domain::{
    clock::Clock,
    delivery::DeliveryState,
    stores::{Accepted, MessageStore},
};
use posthaste_queue::{BootId, Promoted, Queue};
use sea_orm::DbBackend;

use crate::{
    idempotency::submit,
    support::{Bench, owner},
};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// `None` where the clock cannot be set.
async fn bench() -> Option<Bench> {
    let bench = Bench::new().await;
    let sqlite = bench.connect().await.get_database_backend() == DbBackend::Sqlite;
    sqlite.then_some(bench)
}

impl Bench {
    fn set_ahead(&self, by: Duration) {
        self.clock.set(self.clock.now() + by);
    }

    async fn expired(&self) -> u64 {
        let Promoted { expired, .. } = self.store.promote().await.expect("an answer");
        expired
    }
}

/// I22. A day that nobody lived through ends no job, until both clocks have agreed for a minute.
#[tokio::test]
async fn a_clock_that_is_set_ends_no_job_before_a_minute_has_passed() {
    let Some(bench) = bench().await else {
        return;
    };
    let message = bench.message(&["ada@example.com"]);
    let id = message.id;
    bench.store.accept(message, None).await.unwrap();
    assert_eq!(bench.expired().await, 0);
    bench.set_ahead(400 * DAY);
    for _ in 0..60 {
        assert_eq!(bench.expired().await, 0);
        bench.clock.advance(SECOND);
    }
    // Work goes on meanwhile, and may go on after it.
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    assert_eq!(bench.claim(boot, 9).await.len(), 1);
    bench.store.leave(boot).await.unwrap();
    assert_eq!(bench.expired().await, 1);
    let stored = bench.store.message(&owner(), id).await.unwrap().unwrap();
    assert_eq!(stored.states, [DeliveryState::Expired]);
}

/// I22. Nor does it free a key, under which the same mail would be sent again.
#[tokio::test]
async fn a_clock_that_is_set_frees_no_key_before_a_minute_has_passed() {
    let Some(bench) = bench().await else {
        return;
    };
    assert_eq!(submit(&bench, "k", 1).await, Accepted::Stored);
    bench.set_ahead(400 * DAY);
    assert!(matches!(
        submit(&bench, "k", 1).await,
        Accepted::Replayed(_)
    ));
    bench.clock.advance(59 * SECOND);
    assert!(matches!(
        submit(&bench, "k", 1).await,
        Accepted::Replayed(_)
    ));
    bench.clock.advance(SECOND);
    assert_eq!(submit(&bench, "k", 1).await, Accepted::Stored);
}

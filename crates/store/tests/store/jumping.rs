//! What a clock that is set while the node runs does not do.

use std::time::Duration;

use posthaste_domain::{
    clock::Clock,
    delivery::DeliveryState,
    stores::{Accepted, MessageStore},
};
use posthaste_queue::{BootId, Promoted, Queue};
use sea_orm::ConnectionTrait;
use tokio::time::{Instant, interval};

use crate::{
    idempotency::submit,
    support::{Bench, owner},
};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// On PostgreSQL the database's own clock counts. For a store that is opened afterwards, a function of the same name stands
/// before it.
const CLOCK: &str = "CREATE TABLE ahead (seconds integer); INSERT INTO ahead VALUES (0); \
     CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS \
     $$ SELECT pg_catalog.clock_timestamp() + (SELECT seconds FROM public.ahead) * interval '1 second' $$; \
     DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$";

async fn bench() -> Bench {
    let bench = Bench::new().await;
    if !bench.is_on_a_server() {
        return bench;
    }
    let outside = bench.connect().await;
    let made = outside.execute_unprepared(CLOCK).await;
    made.expect("the database is ours");
    bench.reopen().await.0
}

impl Bench {
    async fn set_ahead(&self, by: Duration) {
        self.clock.set(self.clock.now() + by);
        if self.is_on_a_server() {
            let outside = self.connect().await;
            let set = format!("UPDATE ahead SET seconds = {}", by.as_secs());
            let set = outside.execute_unprepared(&set).await;
            set.expect("the clock is ours");
        }
    }

    async fn expired(&self) -> u64 {
        let Promoted { expired, .. } = self.store.promote().await.expect("an answer");
        expired
    }
}

/// Runs a check again and again for longer than a store counts on the last answer of its database.
async fn for_a_while(mut check: impl AsyncFnMut()) {
    let (began, mut looks) = (Instant::now(), interval(SECOND / 20));
    while began.elapsed() < 3 * SECOND / 2 {
        looks.tick().await;
        check().await;
    }
}

/// I22. A day that nobody lived through ends no job, until both clocks have agreed for a minute.
#[tokio::test]
async fn a_clock_that_is_set_ends_no_job_before_a_minute_has_passed() {
    let bench = bench().await;
    let message = bench.message(&["ada@example.com"]);
    let id = message.id;
    bench.store.accept(message, None).await.unwrap();
    assert_eq!(bench.expired().await, 0);
    bench.set_ahead(400 * DAY).await;
    if bench.is_on_a_server() {
        // Its minute is a real one.
        return for_a_while(async || assert_eq!(bench.expired().await, 0)).await;
    }
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
    let bench = bench().await;
    assert_eq!(submit(&bench, "k", 1).await, Accepted::Stored);
    bench.set_ahead(400 * DAY).await;
    let is_kept = async || matches!(submit(&bench, "k", 1).await, Accepted::Replayed(_));
    if bench.is_on_a_server() {
        return for_a_while(async || assert!(is_kept().await)).await;
    }
    assert!(is_kept().await);
    bench.clock.advance(59 * SECOND);
    assert!(is_kept().await);
    bench.clock.advance(SECOND);
    assert_eq!(submit(&bench, "k", 1).await, Accepted::Stored);
}

//! Rows that have served their time.

use std::time::Duration;

use posthaste_domain::{
    clock::Clock,
    idempotency::Idempotency,
    stores::{Housekeeping, MessageStore},
};
use posthaste_queue::{BootId, Queue};

use crate::support::Bench;

#[tokio::test]
async fn old_keys_and_nodes_that_left_are_removed_in_bounded_steps() {
    let bench = Bench::new().await;
    for number in 0..5 {
        let key = format!("key-{number}").parse().unwrap();
        let idempotency = Idempotency {
            route: "/emails".into(),
            key,
            fingerprint: [1; 32],
        };
        bench
            .store
            .accept(bench.message(&["ada@example.com"]), Some(idempotency))
            .await
            .unwrap();
    }
    let (gone, alive) = (BootId::random(), BootId::random());
    bench.store.join(gone).await.unwrap();
    bench.store.join(alive).await.unwrap();
    bench.store.leave(gone).await.unwrap();
    let now = bench.clock.now();
    assert_eq!(
        bench.store.prune_idempotency_keys(now, 9).await.unwrap(),
        0,
        "none is old yet"
    );
    bench.clock.advance(Duration::from_secs(1));
    let later = bench.clock.now();
    assert_eq!(
        bench.store.prune_idempotency_keys(later, 3).await.unwrap(),
        3
    );
    assert_eq!(
        bench.store.prune_idempotency_keys(later, 3).await.unwrap(),
        2
    );
    assert_eq!(
        bench.store.prune_nodes(later, 9).await.unwrap(),
        1,
        "a node that has not left stays"
    );
    assert_eq!(bench.store.prune_tokens(later, 9).await.unwrap(), 0);
}

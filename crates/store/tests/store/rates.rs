//! Rates that all nodes keep together.

use std::{sync::Arc, time::Duration};

use posthaste_domain::{
    clock::Clock,
    stores::{Housekeeping, Taken, TokenBuckets},
};
use posthaste_queue::Rate;
use posthaste_store::Store;
use tokio::task::JoinSet;

use crate::{support::Bench, town::Town};

const SECOND: Duration = Duration::from_secs(1);

fn buckets(store: &Arc<Store>, rate: &str) -> Arc<dyn TokenBuckets> {
    store.buckets(rate.parse::<Rate>().expect("a rate"))
}

async fn take(buckets: &Arc<dyn TokenBuckets>, bucket: &str, most: usize) -> Taken {
    buckets.take(bucket, most).await.expect("the store answers")
}

/// I20. A tenth of a second's worth is saved, and what is taken is gone, in this bucket alone.
#[tokio::test]
async fn tokens_of_a_bucket_are_given_out_once() {
    let bench = Bench::new().await;
    let rate = buckets(&bench.store, "100/s");
    assert_eq!(rate.interval(), SECOND / 100);
    if bench.is_on_a_server() {
        // The clock of the database goes on.
        let first = take(&rate, "relay", 4).await.tokens;
        assert_eq!(first, 4);
        assert!(take(&rate, "relay", 100).await.tokens < 20);
        return;
    }
    assert_eq!(take(&rate, "relay", 4).await.tokens, 4);
    let rest = take(&rate, "relay", 100).await;
    assert_eq!((rest.tokens, rest.next_in), (6, SECOND / 100));
    assert_eq!(take(&rate, "relay", 100).await.tokens, 0);
    assert_eq!(take(&rate, "relay a.test", 100).await.tokens, 10);
    bench.advance(SECOND / 20).await;
    assert_eq!(take(&rate, "relay", 100).await.tokens, 5);
    bench.advance(60 * SECOND).await;
    assert_eq!(take(&rate, "relay", 100).await.tokens, 10, "no more");
}

/// I20. Three nodes that take what they can get get no more together than one.
#[tokio::test]
async fn nodes_share_a_rate() {
    let Some(town) = Town::new().await else {
        return;
    };
    let began = std::time::Instant::now();
    let mut nodes = JoinSet::new();
    for _ in 0..3 {
        let rate = buckets(&town.node().await, "200/s");
        nodes.spawn(async move {
            let mut tokens = 0;
            for _ in 0..200 {
                tokens += take(&rate, "relay", 1000).await.tokens;
            }
            tokens
        });
    }
    let tokens: usize = nodes.join_all().await.into_iter().sum();
    let most = 200.0 * began.elapsed().as_secs_f64() + 21.0;
    let given = f64::from(u32::try_from(tokens).expect("few"));
    assert!(given <= most, "{given} of {most}");
    assert!(tokens >= 20, "{tokens}");
}

#[tokio::test]
async fn buckets_that_are_full_are_forgotten() {
    let bench = Bench::new().await;
    let rate = buckets(&bench.store, "1/day");
    assert_eq!(take(&rate, "relay a.test", 1).await.tokens, 1);
    let now = bench.clock.now();
    let pruned = |before| bench.store.prune_rates(before, 9);
    assert_eq!(pruned(now - 2 * SECOND).await.expect("it answers"), 0);
    assert_eq!(take(&rate, "relay a.test", 1).await.tokens, 0);
    assert_eq!(pruned(now + 60 * SECOND).await.expect("it answers"), 1);
    assert_eq!(take(&rate, "relay a.test", 1).await.tokens, 1);
}

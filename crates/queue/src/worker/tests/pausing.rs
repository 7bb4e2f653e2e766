//! Lanes that operators pause (I18), and limits over all nodes.

use std::sync::atomic::Ordering;

use super::bench::{Act, Bench, SECOND, config};
use crate::{BootId, Fence, Hold, JobId, Lane, Lease, Operate, Pulse, Queue, SharedLimits};

/// I18.
#[tokio::test(start_paused = true)]
async fn a_paused_lane_starts_nothing_and_goes_on_when_resumed() {
    let mut bench = Bench::start(4).await;
    let lane: Lane = "a".parse().unwrap();
    bench.push(&Act::Wait).await;
    bench.started(1).await;
    // Past the next claim, which finds nothing.
    tokio::time::sleep(3 * SECOND).await;
    assert!(bench.handover.reserve(&lane).is_some());
    bench.queue.inner.pause(&lane).await.unwrap();
    assert!(bench.handover.reserve(&lane).is_none());
    bench.push(&Act::Succeed).await;
    tokio::time::sleep(30 * SECOND).await;
    assert!(bench.handover.reserve(&lane).is_none());
    assert_eq!(bench.seen.opened.load(Ordering::SeqCst), 1);
    bench.queue.inner.resume(&lane).await.unwrap();
    bench.ended(1).await;
    bench.go_on();
    bench.ended(2).await;
    bench.finish().await;
}

/// I18. What is under way when its lane is paused finds its gate shut.
#[test]
fn a_pause_shuts_the_gate_of_its_lane_only() {
    let queue = crate::MemoryQueue::<()>::new();
    let (a, b): (Lane, Lane) = ("a".parse().unwrap(), "b".parse().unwrap());
    let hold = |lane: &Lane| {
        let lease = Lease {
            job: JobId::from_uuid(uuid::Uuid::nil()),
            fence: Fence(1),
            boot: BootId::random(),
        };
        Hold::new(&lease, posthaste_host::Stop::new(), Pulse::unjudged())
            .switched_by(queue.controls(), lane.clone())
    };
    let (of_a, of_b) = (hold(&a), hold(&b));
    assert!(of_a.is_good() && of_b.is_good());
    futures_util::FutureExt::now_or_never(queue.pause(&a))
        .unwrap()
        .unwrap();
    assert!(!of_a.is_good() && of_b.is_good());
    futures_util::FutureExt::now_or_never(queue.resume(&a))
        .unwrap()
        .unwrap();
    assert!(of_a.is_good());
}

/// I20. The pace of a lane is its rate, whatever waits; nobody sleeps in an executor for a token.
#[tokio::test(start_paused = true)]
async fn a_lane_with_a_rate_starts_its_jobs_evenly() {
    let mut config = config(&[("a", 0, 50)]);
    config.lanes[0].shared = SharedLimits {
        at_once: None,
        rate: Some("20/s".parse().unwrap()),
    };
    let (mut bench, worker) = Bench::prepared(config);
    for _ in 0..60 {
        bench.push(&Act::Succeed).await;
    }
    let began = tokio::time::Instant::now();
    bench.begin(worker).await;
    bench.ended(60).await;
    let took = began.elapsed();
    assert!(
        took >= 2850 * (SECOND / 1000) && took <= 3300 * (SECOND / 1000),
        "{took:?}"
    );
    assert!(bench.handover.reserve(&"a".parse().unwrap()).is_none());
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_lane_with_a_limit_over_all_nodes_keeps_to_it() {
    let mut config = config(&[("a", 0, 50)]);
    config.lanes[0].shared = SharedLimits {
        at_once: Some(3),
        rate: None,
    };
    let (mut bench, worker) = Bench::prepared(config);
    for _ in 0..10 {
        bench.push(&Act::Wait).await;
    }
    bench.begin(worker).await;
    for ended in 1..=10 {
        tokio::time::sleep(5 * SECOND).await;
        let running = bench.seen.running.load(Ordering::SeqCst);
        assert_eq!(running, 3.min(11 - ended), "before end {ended}");
        bench.go_on();
        bench.ended(ended).await;
    }
    bench.finish().await;
    assert_eq!(bench.seen.most_running.load(Ordering::SeqCst), 3);
}

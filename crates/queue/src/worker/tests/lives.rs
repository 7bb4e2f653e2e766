//! A worker that the other nodes hold for dead.

use super::bench::{Act, Bench, SECOND};
use crate::{Queue, Settled, Verdict};

/// P3. It goes on under another id; what still runs of the old life says its end in vain, for the job is another's.
#[tokio::test(start_paused = true)]
async fn a_node_that_is_held_for_dead_goes_on_under_another_id() {
    let mut bench = Bench::start(3).await;
    bench.push(&Act::Wait).await;
    bench.started(1).await;
    let (dead, pulse) = bench.queue.lives.lock().unwrap()[0].clone();
    // A judge takes its jobs, and its next beat tells it.
    bench.queue.inner.leave(dead).await.unwrap();
    pulse.die();
    bench.push(&Act::Succeed).await;
    // The job that waits runs again beside its old run, and the new one beside both.
    bench.started(2).await;
    bench.ended(1).await;
    assert_eq!(bench.queue.lives.lock().unwrap().len(), 2);
    bench.go_on();
    bench.go_on();
    bench.ended(3).await;
    bench.settle_down().await;
    bench.finish().await;
    let ends: Vec<_> = bench.queue.settled.lock().unwrap().clone();
    let stale = ends
        .iter()
        .filter(|(_, settled)| *settled == Settled::Stale)
        .count();
    let done = ends
        .iter()
        .filter(|end| **end == (Verdict::Done, Settled::Applied))
        .count();
    assert_eq!((stale, done), (1, 2), "{ends:?}");
    assert!(bench.queue.inner.jobs().is_empty());
}

/// I5. While its beats are not confirmed a node claims nothing, hands nothing over and starts nothing; it goes on as soon
/// as they are.
#[tokio::test(start_paused = true)]
async fn a_node_without_confirmed_beats_starts_nothing() {
    let mut bench = Bench::judged(2).await;
    let pulse = bench.queue.lives.lock().unwrap()[0].1.clone();
    tokio::time::sleep(6 * SECOND).await;
    let claims = bench.queue.claims.lock().unwrap().len();
    let lane = "a".parse().unwrap();
    assert!(bench.handover.reserve(&lane).is_none());
    bench.push(&Act::Succeed).await;
    tokio::time::sleep(6 * SECOND).await;
    assert_eq!(bench.queue.claims.lock().unwrap().len(), claims);
    pulse.confirm(tokio::time::Instant::now());
    bench.ended(1).await;
    bench.finish().await;
}

//! Jobs that bring processes down (I10), and leases whose answers were lost (I7).

use std::{sync::atomic::Ordering, time::Duration};

use super::{
    bench::{Act, Bench, SECOND, lane},
    handing_over::leased,
};
use crate::{Queue, Settlement, Verdict};

/// A job that was in hand when two processes died: what the sweep of a dead node leaves.
async fn crash_twice(bench: &mut Bench, act: &Act) {
    bench.push(act).await;
    let id = bench.queue.inner.jobs().last().unwrap().id;
    for _ in 0..2 {
        let boot = crate::BootId::random();
        let lane = "a".parse().unwrap();
        let demand = crate::LaneDemand {
            lane,
            limit: 1,
            shared: crate::SharedLimits::default(),
        };
        let request = crate::ClaimRequest {
            boot,
            lanes: vec![demand],
        };
        let claimed = bench
            .queue
            .inner
            .claim(request)
            .await
            .unwrap()
            .jobs
            .remove(0);
        assert_eq!(claimed.meta.id, id);
        let verdict = Verdict::Crashed {
            after: Duration::ZERO,
            error: "its process died".into(),
        };
        let settlement = Settlement {
            lease: claimed.lease,
            verdict,
            effects: None,
        };
        let batch = std::sync::Arc::new([settlement]);
        bench.queue.inner.settle(batch).await.unwrap();
    }
}

/// I10.
#[tokio::test(start_paused = true)]
async fn a_suspect_waits_until_the_node_is_up_for_ten_seconds_and_then_runs_alone() {
    let (mut bench, worker) = Bench::prepared(super::bench::config(&[("a", 0, 8)]));
    crash_twice(&mut bench, &Act::Wait).await;
    crash_twice(&mut bench, &Act::Wait).await;
    let began = tokio::time::Instant::now();
    bench.begin(worker).await;
    for _ in 0..3 {
        bench.push(&Act::Succeed).await;
    }
    bench.ended(3).await;
    assert!(began.elapsed() < SECOND, "the others need not wait");
    tokio::time::sleep(8 * SECOND).await;
    let reserved = bench
        .handover
        .reserve(&lane("a"))
        .expect("a permit is free");
    bench.started(4).await;
    let waited = began.elapsed();
    assert!(waited >= 10 * SECOND && waited < 12 * SECOND, "{waited:?}");
    // Beside it nothing starts for two seconds, accepted work neither.
    assert!(bench.handover.reserve(&"a".parse().unwrap()).is_none());
    let alone = tokio::time::Instant::now();
    let handed = leased(&bench, &reserved, 77).await;
    reserved.deliver(handed).unwrap();
    bench.push(&Act::Succeed).await;
    bench.ended(4).await;
    let first = alone.elapsed();
    assert!(first >= 2 * SECOND && first < 4 * SECOND, "{first:?}");
    bench.ended(5).await;
    assert!(alone.elapsed() < 4 * SECOND);
    // One at a time: the second one only when the first has ended.
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(bench.seen.running.load(Ordering::SeqCst), 1);
    bench.go_on();
    bench.started(7).await;
    bench.go_on();
    bench.ended(7).await;
    bench.settle_down().await;
    bench.finish().await;
    assert!(bench.queue.inner.jobs().is_empty());
}

/// I10.
#[tokio::test(start_paused = true)]
async fn a_suspect_that_ends_at_once_holds_nothing_up() {
    let (mut bench, worker) = Bench::prepared(super::bench::config(&[("a", 0, 8)]));
    crash_twice(&mut bench, &Act::Succeed).await;
    bench.begin(worker).await;
    bench.ended(1).await;
    let alone = tokio::time::Instant::now();
    bench.push(&Act::Succeed).await;
    bench.ended(2).await;
    assert!(alone.elapsed() < 2 * SECOND, "{:?}", alone.elapsed());
    bench.finish().await;
}

/// I7.
#[tokio::test(start_paused = true)]
async fn what_was_claimed_by_a_lost_answer_runs_again_within_twenty_seconds() {
    let mut bench = Bench::start(4).await;
    bench.queue.lose_claim_answers.store(1, Ordering::SeqCst);
    bench.push(&Act::Succeed).await;
    let began = tokio::time::Instant::now();
    bench.ended(1).await;
    let waited = began.elapsed();
    assert!(waited > 9 * SECOND && waited <= 20 * SECOND, "{waited:?}");
    bench.settle_down().await;
    let attempts = bench.effects.lock().unwrap().clone();
    assert_eq!(attempts, [1], "the attempt that nobody made is not counted");
    bench.finish().await;
}

/// I7. What is in hand for longer than two looks is answered for.
#[tokio::test(start_paused = true)]
async fn what_is_in_hand_for_long_is_not_given_back() {
    let mut bench = Bench::start(4).await;
    bench.push(&Act::Wait).await;
    bench.started(1).await;
    tokio::time::sleep(60 * SECOND).await;
    let jobs = bench.queue.inner.jobs();
    assert_eq!(
        (jobs.len(), jobs[0].leased, jobs[0].fence.unwrap().0),
        (1, true, 1)
    );
    bench.go_on();
    bench.ended(1).await;
    bench.finish().await;
}

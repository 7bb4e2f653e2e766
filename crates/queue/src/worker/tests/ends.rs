//! How attempts end.

use std::sync::atomic::Ordering;

use super::bench::{Act, Bench, SECOND};
use crate::{End, Settled, Verdict};

#[tokio::test(start_paused = true)]
async fn each_attempt_has_a_scope_of_its_own_that_is_closed_once_with_its_end() {
    let mut bench = Bench::start(5).await;
    let ok = bench.push(&Act::Succeed).await;
    let failed = bench.push(&Act::Fail).await;
    let panicked = bench.push(&Act::Panic).await;
    bench.ended(3).await;
    let ends = bench.ends();
    assert_eq!(ends[&ok], [End::Completed]);
    assert_eq!(ends[&failed], [End::Failed]);
    assert_eq!(ends[&panicked], [End::Panicked]);
    assert_eq!(bench.seen.opened.load(Ordering::SeqCst), 3);
    bench.settle_down().await;
    assert_eq!(
        *bench.effects.lock().unwrap(),
        [1],
        "effects are committed with the job that made them"
    );
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_or_panic_is_tried_again_with_growing_waits_and_then_the_job_is_dead() {
    for act in [Act::Fail, Act::Panic] {
        let mut bench = Bench::start(1).await;
        let began = tokio::time::Instant::now();
        let id = bench.push(&act).await;
        bench.ended(2).await;
        let first = began.elapsed();
        assert!(first >= 10 * SECOND && first <= 13 * SECOND, "{first:?}");
        bench.ended(3).await;
        let second = began.elapsed() - first;
        assert!(second >= 20 * SECOND && second <= 25 * SECOND, "{second:?}");
        bench.settle_down().await;
        assert!(bench.queue.inner.jobs().is_empty());
        let dead = bench.queue.inner.dead();
        assert_eq!(dead[0].0, id);
        let expected = if matches!(act, Act::Fail) {
            "the job failed: no luck"
        } else {
            "panicked: boom"
        };
        assert_eq!(dead[0].1, expected);
        bench.finish().await;
    }
}

/// I8. Only its own node enforces a job's deadline: past it the gate is shut, and it counts as a crash.
#[tokio::test(start_paused = true)]
async fn a_job_past_its_deadline_is_ended_and_counts_as_a_crash() {
    let mut bench = Bench::start(1).await;
    let id = bench.push(&Act::Hang).await;
    let began = tokio::time::Instant::now();
    bench.ended(1).await;
    assert!(began.elapsed() >= 60 * SECOND && began.elapsed() < 61 * SECOND);
    assert!(
        bench.seen.gate_shut_at_close.load(Ordering::SeqCst),
        "nothing passes any more"
    );
    assert_eq!(bench.ends()[&id], [End::Cancelled]);
    assert_eq!(
        bench.seen.running.load(Ordering::SeqCst),
        0,
        "the handler was dropped"
    );
    bench.settle_down().await;
    let job = bench.queue.inner.jobs().remove(0);
    assert_eq!((job.attempts, job.crashes, job.leased), (1, 1, false));
    bench.stop.force();
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_scope_opens_or_closes_ends_the_attempt_and_not_the_worker() {
    let mut bench = Bench::start(1).await;
    bench.push(&Act::PanicInOpen).await;
    bench.push(&Act::PanicInClose).await;
    tokio::time::sleep(5 * SECOND).await;
    let jobs = bench.queue.inner.jobs();
    assert!(
        jobs.iter().all(|job| job.attempts == 1 && !job.leased),
        "{jobs:?}"
    );
    assert_eq!(jobs.len(), 2);
    bench.push(&Act::Succeed).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(bench.queue.inner.jobs().len(), 2, "the worker goes on");
    bench.finish().await;
}

/// I32. Settling is repeated until it is applied, and is applied once.
#[tokio::test(start_paused = true)]
async fn a_settlement_is_repeated_until_its_answer_is_known_and_is_applied_once() {
    let mut bench = Bench::start(1).await;
    bench.queue.refuse_settles.store(5, Ordering::SeqCst);
    bench.queue.lose_settle_answers.store(1, Ordering::SeqCst);
    bench.push(&Act::Succeed).await;
    bench.push(&Act::Succeed).await;
    bench.ended(2).await;
    bench.settle_down().await;
    let settled = bench.queue.settled.lock().unwrap().clone();
    let expected = [
        (Verdict::Done, Settled::Applied),
        (Verdict::Done, Settled::Stale),
        (Verdict::Done, Settled::Applied),
    ];
    assert_eq!(
        settled, expected,
        "the repeat of an applied settlement is found stale"
    );
    assert_eq!(bench.effects.lock().unwrap().len(), 2);
    bench.finish().await;
}

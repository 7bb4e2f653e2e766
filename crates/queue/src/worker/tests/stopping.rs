//! Stops.

use std::sync::atomic::Ordering;

use super::bench::{Act, Bench, SECOND};
use crate::{End, Verdict};

/// P8. Nothing more is claimed, the item in hand is finished, and the rest stays with its attempt unspent.
#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_runs_and_keeps_the_rest_unspent() {
    let mut bench = Bench::start(1).await;
    let in_hand = bench.push(&Act::Wait).await;
    bench.started(1).await;
    bench.push(&Act::Succeed).await;
    bench.stop.request();
    tokio::time::sleep(30 * SECOND).await;
    assert!(!bench.is_over(), "the item in hand is waited for");
    bench.go_on();
    bench.finish().await;
    assert_eq!(bench.ends()[&in_hand], [End::Completed]);
    let rest = bench.queue.inner.jobs();
    assert_eq!(rest.len(), 1);
    assert_eq!((rest[0].attempts, rest[0].leased), (0, false));
}

#[tokio::test(start_paused = true)]
async fn what_was_claimed_and_has_not_begun_is_given_back_unspent() {
    let mut bench = Bench::start(3).await;
    *bench.queue.stop_at_claim.lock().unwrap() = Some(bench.stop.clone());
    for _ in 0..3 {
        bench.push(&Act::Succeed).await;
    }
    bench.settle_down().await;
    bench.finish().await;
    assert_eq!(
        bench.seen.opened.load(Ordering::SeqCst),
        0,
        "nothing has begun"
    );
    let jobs = bench.queue.inner.jobs();
    assert_eq!(jobs.len(), 3);
    assert!(
        jobs.iter().all(|job| job.attempts == 0 && !job.leased),
        "{jobs:?}"
    );
    let released = bench.queue.settled.lock().unwrap().clone();
    assert_eq!(released.len(), 3);
    assert!(
        released
            .iter()
            .all(|(verdict, _)| *verdict == Verdict::Release),
        "{released:?}"
    );
}

/// I11. A forced stop drops what runs and gives it back: no attempt and no crash is counted.
#[tokio::test(start_paused = true)]
async fn a_forced_stop_drops_what_runs_and_gives_it_back_unspent() {
    let mut bench = Bench::start(2).await;
    let hanging = bench.push(&Act::Hang).await;
    bench.started(1).await;
    let began = tokio::time::Instant::now();
    bench.stop.force();
    bench.finish().await;
    assert!(began.elapsed() < SECOND);
    assert_eq!(bench.ends()[&hanging], [End::Cancelled]);
    assert_eq!(bench.seen.running.load(Ordering::SeqCst), 0);
    let jobs = bench.queue.inner.jobs();
    assert_eq!(
        (jobs[0].attempts, jobs[0].crashes, jobs[0].leased),
        (0, 0, false)
    );
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_answer_holds_up_a_forced_stop_no_longer_than_its_answer() {
    let mut bench = Bench::start(1).await;
    bench.queue.refuse_settles.store(u32::MAX, Ordering::SeqCst);
    bench.push(&Act::Succeed).await;
    bench.ended(1).await;
    bench.stop.request();
    tokio::time::sleep(60 * SECOND).await;
    assert!(!bench.is_over(), "settling is tried again");
    bench.stop.force();
    bench.finish().await;
}

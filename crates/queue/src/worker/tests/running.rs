//! Claiming and running.

use std::sync::atomic::Ordering;

use super::bench::{Act, Bench, SECOND, config, lane};
use crate::{LaneConfig, Queue, WorkerError};

#[tokio::test(start_paused = true)]
async fn as_many_jobs_run_as_there_are_permits_and_no_more_are_claimed() {
    let mut bench = Bench::start(3).await;
    for _ in 0..8 {
        bench.push(&Act::Wait).await;
    }
    bench.started(3).await;
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(
        bench
            .queue
            .inner
            .jobs()
            .iter()
            .filter(|job| job.leased)
            .count(),
        3
    );
    for done in 1..=8 {
        bench.go_on();
        bench.ended(done).await;
    }
    bench.settle_down().await;
    assert_eq!(bench.seen.most_running.load(Ordering::SeqCst), 3);
    assert!(bench.queue.inner.jobs().is_empty());
    assert!(
        bench
            .queue
            .claims
            .lock()
            .unwrap()
            .iter()
            .all(|claim| claim.lanes.iter().all(|demand| demand.limit <= 3))
    );
    bench.finish().await;
}

/// I19. A permit is free only after the settlement is committed.
#[tokio::test(start_paused = true)]
async fn a_slow_commit_keeps_the_permit() {
    let mut bench = Bench::start(1).await;
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    *bench.queue.settle_gate.lock().unwrap() = Some(std::sync::Arc::clone(&gate));
    bench.push(&Act::Succeed).await;
    bench.push(&Act::Succeed).await;
    bench.ended(1).await;
    tokio::time::sleep(30 * SECOND).await;
    assert_eq!(
        bench.seen.opened.load(Ordering::SeqCst),
        1,
        "the second job waits for the first one's commit"
    );
    *bench.queue.settle_gate.lock().unwrap() = None;
    gate.notify_one();
    bench.ended(2).await;
    bench.finish().await;
}

/// I16.
#[tokio::test(start_paused = true)]
async fn more_urgent_lanes_are_claimed_first_and_a_lane_that_hangs_holds_up_no_other() {
    let (mut bench, worker) = Bench::prepared(config(&[("a", 0, 2), ("urgent", 10, 1)]));
    for _ in 0..4 {
        bench.push_to("a", &Act::Hang).await;
    }
    bench.push_to("urgent", &Act::Succeed).await;
    bench.begin(worker).await;
    bench.ended(1).await;
    let first = bench.queue.claims.lock().unwrap()[0].lanes[0].lane.clone();
    assert_eq!(first, lane("urgent"));
    bench.push_to("urgent", &Act::Succeed).await;
    bench.ended(2).await;
    bench.stop.force();
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_waiting_job_runs_when_it_is_due_and_not_before() {
    let mut bench = Bench::start(1).await;
    let id = crate::JobId::from_uuid(uuid::Uuid::from_u128(99));
    let job = crate::NewJob::of(id, lane("a"), &Act::Succeed).unwrap();
    bench
        .queue
        .push(vec![crate::NewJob {
            delay: 90 * SECOND,
            ..job
        }])
        .await
        .unwrap();
    let began = tokio::time::Instant::now();
    bench.ended(1).await;
    let waited = began.elapsed();
    assert!(waited >= 90 * SECOND && waited < 92 * SECOND, "{waited:?}");
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_nobody_here_knows_is_left_to_other_nodes() {
    let mut bench = Bench::start(1).await;
    let id = crate::JobId::from_uuid(uuid::Uuid::from_u128(99));
    let job = crate::NewJob {
        kind: "of a later release".into(),
        ..crate::NewJob::of(id, lane("a"), &Act::Succeed).unwrap()
    };
    bench.queue.push(vec![job]).await.unwrap();
    bench.handover.work_waits(&lane("a"));
    tokio::time::sleep(10 * SECOND).await;
    let jobs = bench.queue.inner.jobs();
    assert_eq!(
        (jobs[0].attempts, jobs[0].leased),
        (0, false),
        "the attempt is not spent"
    );
    bench.finish().await;
}

#[test]
fn a_worker_that_could_not_work_is_refused() {
    let refused = |config| {
        let (queue, scopes) = (
            std::sync::Arc::new(crate::MemoryQueue::<()>::new()),
            NoScopes,
        );
        crate::Worker::new(queue, scopes, crate::Registry::new(), config)
            .map(|_| ())
            .unwrap_err()
    };
    assert_eq!(refused(config(&[])), WorkerError::NoPermits);
    assert_eq!(refused(config(&[("a", 0, 0)])), WorkerError::NoPermits);
    let mut large = config(&[("a", 0, 60)]);
    large.lanes.push(LaneConfig {
        lane: lane("b"),
        priority: 0,
        permits: 60,
        shared: crate::SharedLimits::default(),
    });
    assert_eq!(
        refused(large),
        WorkerError::ChannelTooSmall {
            permits: 120,
            capacity: 100
        }
    );
}

struct NoScopes;

#[async_trait::async_trait]
impl crate::ScopeFactory for NoScopes {
    type Root = ();
    type Scope<'job> = ();

    async fn open(
        &self,
        _job: &crate::JobMeta,
        _hold: crate::Hold,
    ) -> Result<(), crate::ScopeError> {
        Ok(())
    }

    fn scope(_root: &()) {}

    async fn close(&self, _root: (), _end: crate::End) {}
}

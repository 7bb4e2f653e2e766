//! Accepted work that goes straight to an executor.

use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::bench::{Act, Bench, SECOND, config, lane};
use crate::{ClaimedJob, Job, JobId, JobMeta, NewJob, Queue, Reservation};

/// A job as a store would insert it, already leased, and its lease.
pub(super) async fn leased(bench: &Bench, reservation: &Reservation, number: u128) -> ClaimedJob {
    let id = JobId::from_uuid(Uuid::from_u128(number));
    let job = NewJob::of(id, lane("a"), &Act::Succeed).unwrap();
    let payload = job.payload.clone();
    bench.queue.push(vec![job]).await.unwrap();
    let demand = crate::LaneDemand {
        lane: lane("a"),
        limit: 1,
        shared: crate::SharedLimits::default(),
    };
    let claim = crate::ClaimRequest {
        boot: reservation.boot(),
        lanes: vec![demand],
    };
    let claimed = bench.queue.inner.claim(claim).await.unwrap().jobs.remove(0);
    assert_eq!(
        claimed.lease,
        reservation.lease(id),
        "a first claim has the first fence"
    );
    let meta = JobMeta {
        id,
        lane: lane("a"),
        kind: Act::KIND.to_owned(),
        attempt: 1,
        crashes: 0,
        tenant: String::new(),
    };
    ClaimedJob {
        lease: reservation.lease(id),
        meta,
        payload,
    }
}

#[tokio::test(start_paused = true)]
async fn a_handed_over_job_runs_without_a_claim() {
    let mut bench = Bench::start(1).await;
    bench.settle_down().await;
    let reservation = bench.handover.reserve(&lane("a")).unwrap();
    let job = leased(&bench, &reservation, 1).await;
    let claims = bench.queue.claims.lock().unwrap().len();
    reservation.deliver(job).unwrap();
    bench.ended(1).await;
    bench.settle_down().await;
    assert_eq!(bench.queue.claims.lock().unwrap().len(), claims);
    assert!(bench.queue.inner.jobs().is_empty());
    bench.finish().await;
}

/// I17. Only where nothing waits, the look is fresh, and a permit is free at once.
#[tokio::test(start_paused = true)]
async fn nothing_is_handed_over_past_waiting_work_or_without_a_permit() {
    let (mut bench, worker) = Bench::prepared(config(&[("a", 0, 2)]));
    assert!(
        bench.handover.reserve(&lane("a")).is_none(),
        "the worker has not started"
    );
    bench.begin(worker).await;
    bench.settle_down().await;
    assert!(
        bench.handover.reserve(&lane("nowhere")).is_none(),
        "no such lane here"
    );
    let one = bench.handover.reserve(&lane("a")).unwrap();
    let two = bench.handover.reserve(&lane("a")).unwrap();
    assert!(
        bench.handover.reserve(&lane("a")).is_none(),
        "no permit is free"
    );
    drop(one);
    assert!(
        bench.handover.reserve(&lane("a")).is_some(),
        "a reservation that is dropped frees its permit"
    );
    drop(two);
    bench.handover.work_waits(&lane("a"));
    assert!(
        bench.handover.reserve(&lane("a")).is_none(),
        "work waits in the table"
    );
    bench.settle_down().await;
    assert!(
        bench.handover.reserve(&lane("a")).is_some(),
        "it was looked for at once, and is done"
    );
    bench.stop.request();
    bench.settle_down().await;
    assert!(
        bench.handover.reserve(&lane("a")).is_none(),
        "the worker stops"
    );
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_look_that_is_too_old_does_not_count() {
    let mut config = config(&[("a", 0, 1)]);
    (config.poll, config.recent_claim) = (60 * SECOND, SECOND);
    let (mut bench, worker) = Bench::prepared(config);
    bench.begin(worker).await;
    bench.settle_down().await;
    assert!(bench.handover.reserve(&lane("a")).is_some());
    tokio::time::sleep(2 * SECOND).await;
    assert!(bench.handover.reserve(&lane("a")).is_none());
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_committed_while_the_worker_stops_comes_back() {
    let mut bench = Bench::start(1).await;
    bench.settle_down().await;
    let reservation = bench.handover.reserve(&lane("a")).unwrap();
    let job = leased(&bench, &reservation, 1).await;
    bench.finish().await;
    assert!(reservation.deliver(job).is_err());
    assert_eq!(bench.seen.opened.load(Ordering::SeqCst), 0);
    let jobs = bench.queue.inner.jobs();
    assert_eq!(
        (jobs[0].attempts, jobs[0].leased),
        (0, false),
        "leaving gave it back"
    );
}

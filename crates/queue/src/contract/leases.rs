//! Leases, fences and verdicts.

use std::{sync::Arc, time::Duration};

use super::tools::{HOUR, claim, claim_one, demand, job, joined, numbers, push, settle};
use crate::{
    job::{ClaimedJob, NewJob},
    lease::{Fence, Lease},
    queue::{Pushed, Queue, Settled},
    verdict::{Settlement, Verdict},
};

pub(super) async fn a_job_is_stored_once<Q: Queue>(queue: Arc<Q>) {
    let queue = &*queue;
    assert_eq!(push(queue, vec![job(1, "a")]).await, [Pushed::Stored]);
    assert_eq!(
        push(queue, vec![job(1, "a"), job(2, "a")]).await,
        [Pushed::Known, Pushed::Stored]
    );
    let boot = joined(queue).await;
    let claimed = claim(queue, boot, 10).await;
    assert_eq!(numbers(&claimed), [1, 2]);
    assert_eq!(claimed[0].payload, "{\"number\":1}");
    assert_eq!(
        (
            claimed[0].meta.kind.as_str(),
            claimed[0].meta.attempt,
            claimed[0].meta.crashes
        ),
        ("case", 1, 0)
    );
}

pub(super) async fn a_claim_keeps_to_its_limits_and_lanes<Q: Queue>(queue: Arc<Q>) {
    let queue = &*queue;
    push(
        queue,
        vec![
            job(1, "a"),
            job(2, "a"),
            job(3, "b"),
            job(4, "b"),
            job(5, "c"),
        ],
    )
    .await;
    let boot = joined(queue).await;
    let claimed = queue
        .claim(demand(boot, &[("b", 1), ("a", 5)]))
        .await
        .expect("the queue gives jobs out")
        .jobs;
    assert_eq!(
        numbers(&claimed),
        [3, 1, 2],
        "the first lane named is served first"
    );
    assert_eq!(
        numbers(
            &queue
                .claim(demand(boot, &[("b", 0)]))
                .await
                .expect("an empty claim is no error")
                .jobs
        ),
        []
    );
}

/// P3. Claimers never share a job, and each job is given out.
pub(super) async fn claimers_never_share_a_job<Q: Queue>(queue: Arc<Q>) {
    const JOBS: u128 = 60;
    push(&*queue, (1..=JOBS).map(|number| job(number, "a")).collect()).await;
    let mut claimers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let queue = Arc::clone(&queue);
        claimers.spawn(async move {
            let boot = joined(&*queue).await;
            let mut mine = Vec::new();
            loop {
                let claimed = claim(&*queue, boot, 3).await;
                if claimed.is_empty() {
                    return mine;
                }
                assert!(
                    claimed.iter().all(|job| job.lease.boot == boot),
                    "a lease names its holder"
                );
                mine.extend(numbers(&claimed));
            }
        });
    }
    let mut all = claimers.join_all().await.concat();
    all.sort_unstable();
    assert_eq!(all, (1..=JOBS).collect::<Vec<_>>());
}

pub(super) async fn a_delayed_job_is_not_claimed_before_its_time<Q: Queue>(queue: Arc<Q>) {
    let queue = &*queue;
    push(
        queue,
        vec![NewJob {
            delay: HOUR,
            ..job(1, "a")
        }],
    )
    .await;
    let boot = joined(queue).await;
    let promoted = queue.promote().await.expect("the queue promotes");
    assert_eq!(promoted.count, 0);
    let due = promoted.next_due.expect("a job waits");
    assert!(due <= HOUR && due > HOUR / 2, "{due:?}");
    assert!(claim(queue, boot, 1).await.is_empty());
}

pub(super) async fn each_verdict_does_what_it_says<Q: Queue>(queue: Arc<Q>) {
    let queue = &*queue;
    let boot = joined(queue).await;
    let error = || "no luck".to_owned();
    let zero = Duration::ZERO;
    // What the next claim of the job shows: attempt and crashes; `None` where it left the queue or waits.
    let cases = [
        (Verdict::Done, None),
        (Verdict::Cancel { reason: error() }, None),
        (Verdict::Dead { reason: error() }, None),
        (Verdict::Release, Some((1, 0))),
        (
            Verdict::Retry {
                after: zero,
                error: error(),
            },
            Some((2, 0)),
        ),
        (
            Verdict::Crashed {
                after: zero,
                error: error(),
            },
            Some((2, 1)),
        ),
        (Verdict::Snooze { after: zero }, Some((1, 0))),
        (
            Verdict::Retry {
                after: HOUR,
                error: error(),
            },
            None,
        ),
        (Verdict::Snooze { after: HOUR }, None),
    ];
    for (number, (verdict, expected)) in (1..).zip(cases) {
        push(queue, vec![job(number, "a")]).await;
        let first = claim_one(queue, boot).await;
        assert_eq!(
            settle(queue, first.lease, verdict.clone()).await,
            Settled::Applied,
            "{verdict:?}"
        );
        queue.promote().await.expect("the queue promotes");
        let again = claim(queue, boot, 1).await;
        let seen = again
            .first()
            .map(|job| (job.meta.attempt, job.meta.crashes));
        assert_eq!(seen, expected, "after {verdict:?}");
        for job in again {
            settle(queue, job.lease, Verdict::Done).await;
        }
    }
}

/// I9, P3. A fence that is not the newest changes nothing.
pub(super) async fn a_stale_worker_cannot_settle<Q: Queue>(queue: Arc<Q>) {
    let queue = &*queue;
    let (slow, quick) = (joined(queue).await, joined(queue).await);
    push(queue, vec![job(1, "a")]).await;
    let old = claim_one(queue, slow).await.lease;
    queue.leave(slow).await.expect("a node can leave");
    let new = claim_one(queue, quick).await.lease;
    assert!(new.fence > old.fence);
    let retry = Verdict::Retry {
        after: Duration::ZERO,
        error: "late".to_owned(),
    };
    assert_eq!(settle(queue, old, retry).await, Settled::Stale);
    let forged = Lease {
        job: new.job,
        fence: new.fence,
        boot: slow,
    };
    assert_eq!(
        settle(queue, forged, Verdict::Done).await,
        Settled::Stale,
        "the holder counts too"
    );
    assert!(
        claim(queue, quick, 1).await.is_empty(),
        "the newer lease still holds the job"
    );
    assert_eq!(settle(queue, new, Verdict::Done).await, Settled::Applied);
}

pub(super) async fn a_batch_with_a_stale_lease_applies_the_others<Q: Queue>(queue: Arc<Q>) {
    let queue = &*queue;
    let boot = joined(queue).await;
    push(queue, vec![job(1, "a"), job(2, "a"), job(3, "a")]).await;
    let mut settlements: Vec<_> = claim(queue, boot, 3)
        .await
        .into_iter()
        .map(|job| Settlement {
            lease: job.lease,
            verdict: Verdict::Done,
            effects: None,
        })
        .collect();
    settlements[1].lease.fence = settlements[1].lease.fence.next();
    let settled = queue
        .settle(settlements.into())
        .await
        .expect("the queue settles");
    assert_eq!(
        settled,
        [Settled::Applied, Settled::Stale, Settled::Applied]
    );
    queue.leave(boot).await.expect("a node can leave");
    let boot = joined(queue).await;
    assert_eq!(numbers(&claim(queue, boot, 3).await), [2]);
}

pub(super) async fn settling_twice_changes_nothing<Q: Queue>(queue: Arc<Q>) {
    let queue = &*queue;
    let boot = joined(queue).await;
    push(queue, vec![job(1, "a")]).await;
    let lease = claim_one(queue, boot).await.lease;
    let again = Lease {
        job: lease.job,
        fence: lease.fence,
        boot,
    };
    let retry = || Verdict::Retry {
        after: Duration::ZERO,
        error: "no luck".to_owned(),
    };
    assert_eq!(settle(queue, lease, retry()).await, Settled::Applied);
    assert_eq!(
        settle(queue, again, retry()).await,
        Settled::Stale,
        "the first call ended the lease"
    );
    queue.promote().await.expect("the queue promotes");
    assert_eq!(claim_one(queue, boot).await.meta.attempt, 2);
}

/// I11: what a stopping node holds goes back in one step, and no attempt or crash is counted.
pub(super) async fn leaving_gives_everything_back_unspent<Q: Queue>(queue: Arc<Q>) {
    let queue = &*queue;
    let boot = joined(queue).await;
    push(queue, vec![job(1, "a"), job(2, "a"), job(3, "a")]).await;
    assert_eq!(claim(queue, boot, 2).await.len(), 2);
    queue.leave(boot).await.expect("a node can leave");
    let boot = joined(queue).await;
    let claimed = claim(queue, boot, 9).await;
    let mut counted: Vec<_> = claimed
        .iter()
        .map(|job| (job.meta.attempt, job.meta.crashes))
        .collect();
    counted.sort_unstable();
    assert_eq!(counted, [(1, 0); 3]);
}

pub(super) async fn fences_never_fall<Q: Queue>(queue: Arc<Q>) {
    let queue = &*queue;
    let boot = joined(queue).await;
    push(queue, vec![job(1, "a")]).await;
    let mut last = Fence(0);
    for verdict in [
        Verdict::Release,
        Verdict::Snooze {
            after: Duration::ZERO,
        },
        Verdict::Retry {
            after: Duration::ZERO,
            error: "no luck".to_owned(),
        },
        Verdict::Release,
    ] {
        let lease = claim_one(queue, boot).await.lease;
        assert!(lease.fence > last);
        last = lease.fence;
        settle(queue, lease, verdict).await;
        queue.promote().await.expect("the queue promotes");
    }
}

/// I7. What a node holds by the queue's books, and nothing else.
pub(super) async fn a_node_can_list_what_it_holds<Q: Queue>(queue: Arc<Q>) {
    let queue = &*queue;
    let (mine, other) = (joined(queue).await, joined(queue).await);
    push(queue, (1..=5).map(|number| job(number, "a")).collect()).await;
    let claimed = claim(queue, mine, 3).await;
    let others = claim(queue, other, 1).await;
    let leases = |jobs: &[ClaimedJob]| {
        let mut leases: Vec<_> = jobs
            .iter()
            .map(|job| (job.lease.job, job.lease.fence))
            .collect();
        leases.sort_unstable();
        leases
    };
    let held = async |boot| {
        let mut held = queue.held(boot).await.expect("the queue lists leases");
        held.sort_unstable();
        held
    };
    assert_eq!(held(mine).await, leases(&claimed));
    assert_eq!(held(other).await, leases(&others));
    queue.leave(mine).await.expect("a node can leave");
    assert_eq!(held(mine).await, []);
}

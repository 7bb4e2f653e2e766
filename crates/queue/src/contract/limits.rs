//! Limits over all nodes, and time that is over.

use std::{sync::Arc, time::Duration};

use super::tools::{HOUR, claim, job, joined, lane, numbers, push, settle};
use crate::{
    job::NewJob,
    lease::BootId,
    queue::{ClaimRequest, Claimed, LaneDemand, Queue, SharedLimits},
    rate::Rate,
    verdict::Verdict,
};

async fn claim_within<Q: Queue>(queue: &Q, boot: BootId, shared: SharedLimits) -> Claimed {
    let demand = LaneDemand {
        lane: lane("a"),
        limit: 10,
        shared,
    };
    queue
        .claim(ClaimRequest {
            boot,
            lanes: vec![demand],
        })
        .await
        .expect("the queue gives jobs out")
}

pub(super) async fn no_more_are_in_hand_than_all_nodes_may_have<Q: Queue>(queue: Arc<Q>) {
    let queue = &*queue;
    push(queue, (1..=20).map(|number| job(number, "a")).collect()).await;
    let (one, other) = (joined(queue).await, joined(queue).await);
    let four = SharedLimits {
        at_once: Some(4),
        rate: None,
    };
    let mut held = claim_within(queue, one, four).await.jobs;
    assert_eq!(numbers(&held), [1, 2, 3, 4]);
    assert_eq!(claim_within(queue, other, four).await, Claimed::default());
    settle(queue, held.remove(0).lease, Verdict::Done).await;
    assert_eq!(numbers(&claim_within(queue, other, four).await.jobs), [5]);
}

pub(super) async fn claimers_at_once_keep_to_what_all_nodes_may_have<Q: Queue>(queue: Arc<Q>) {
    push(&*queue, (1..=60).map(|number| job(number, "a")).collect()).await;
    let mut claimers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let queue = Arc::clone(&queue);
        claimers.spawn(async move {
            let boot = joined(&*queue).await;
            let limits = SharedLimits {
                at_once: Some(7),
                rate: None,
            };
            claim_within(&*queue, boot, limits).await.jobs.len()
        });
    }
    let all: usize = claimers.join_all().await.into_iter().sum();
    assert_eq!(all, 7);
}

/// I20. The tokens of an hour's rate: one at once, the next one in its time, and none of them lost by asking.
pub(super) async fn a_rate_gives_out_no_more_than_its_tokens<Q: Queue>(queue: Arc<Q>) {
    let queue = &*queue;
    push(queue, (1..=20).map(|number| job(number, "a")).collect()).await;
    let (one, other) = (joined(queue).await, joined(queue).await);
    let rate = Rate::new(2, HOUR).expect("a rate");
    let limits = SharedLimits {
        at_once: None,
        rate: Some(rate),
    };
    let mut given = 0;
    for boot in [one, other, one, other] {
        let Claimed { jobs, throttled } = claim_within(queue, boot, limits).await;
        given += jobs.len();
        let throttled = throttled.expect("jobs are left that only the rate holds back");
        assert!(
            throttled <= HOUR / 2 && throttled > HOUR / 3,
            "{throttled:?}"
        );
    }
    assert_eq!(given, 1);
    assert_eq!(
        numbers(&claim(queue, one, 1).await),
        [2],
        "a claim without the limit is not held back"
    );
}

/// I24.
pub(super) async fn a_job_whose_time_is_over_is_taken_out<Q: Queue>(queue: Arc<Q>) {
    let queue = &*queue;
    let over = |number, delay| NewJob {
        expires_in: Some(Duration::ZERO),
        delay,
        ..job(number, "a")
    };
    let boot = joined(queue).await;
    push(queue, vec![over(1, Duration::ZERO)]).await;
    assert_eq!(numbers(&claim(queue, boot, 9).await), [1]);
    let lasting = NewJob {
        expires_in: Some(HOUR),
        ..job(4, "a")
    };
    push(queue, vec![over(2, Duration::ZERO), over(3, HOUR), lasting]).await;
    let promoted = queue.promote().await.expect("the queue promotes");
    assert_eq!(
        (promoted.count, promoted.expired),
        (0, 2),
        "not the one in hand"
    );
    assert_eq!(numbers(&claim(queue, boot, 9).await), [4]);
}

//! Jobs that need a person.

use std::sync::Arc;

use super::tools::{
    HOUR, claim, claim_one, crashed, job, joined, lane, numbers, of_tenant, push, settle,
};
use crate::{
    job::NewJob,
    lease::BootId,
    operate::{Cause, DeadFilter, Operate},
    queue::{Pushed, Queue, Settled},
    verdict::Verdict,
};

fn any() -> DeadFilter {
    DeadFilter::default()
}

async fn kill<Q: Queue>(queue: &Q, boot: BootId) {
    let claimed = claim_one(queue, boot).await;
    let reason = format!("job {} is beyond help", claimed.meta.id.as_uuid().as_u128());
    settle(queue, claimed.lease, Verdict::Dead { reason }).await;
}

async fn quarantine<Q: Queue>(queue: &Q, boot: BootId) {
    for _ in 0..2 {
        let claimed = claim_one(queue, boot).await;
        settle(queue, claimed.lease, crashed()).await;
        queue.promote().await.expect("the queue promotes");
    }
    let apart = queue.claim_suspect(boot, &[lane("a")]).await;
    let apart = apart.expect("an answer").expect("a job runs apart");
    settle(queue, apart.lease, crashed()).await;
}

async fn page<Q: Operate>(queue: &Q, filter: DeadFilter) -> Vec<u128> {
    let dead = queue.dead(&filter, None, 100).await.expect("an answer");
    dead.iter()
        .map(|dead| dead.id.as_uuid().as_u128())
        .collect()
}

pub(super) async fn dead_jobs_are_shown_by_filter_and_page<Q: Queue + Operate>(queue: Arc<Q>) {
    let queue = &*queue;
    let boot = joined(queue).await;
    for number in 1..=3 {
        push(queue, vec![of_tenant("x", job(number, "a"))]).await;
        kill(queue, boot).await;
    }
    push(queue, vec![of_tenant("y", job(4, "a"))]).await;
    quarantine(queue, boot).await;
    assert_eq!(page(queue, any()).await, [4, 3, 2, 1]);
    let of = |tenant: &str| DeadFilter {
        tenant: Some(tenant.to_owned()),
        ..any()
    };
    assert_eq!(page(queue, of("x")).await, [3, 2, 1]);
    let cause = DeadFilter {
        cause: Some(Cause::Quarantined),
        ..any()
    };
    assert_eq!(page(queue, cause).await, [4]);
    let elsewhere = DeadFilter {
        lane: Some(lane("b")),
        ..any()
    };
    assert_eq!(page(queue, elsewhere).await, []);
    let kind = DeadFilter {
        kind: Some("case".to_owned()),
        id: Some(job(2, "a").id),
        ..any()
    };
    assert_eq!(page(queue, kind).await, [2]);
    let long = DeadFilter {
        dead_for: Some(HOUR),
        ..any()
    };
    assert_eq!(page(queue, long).await, []);
    let behind = queue.dead(&any(), Some(job(3, "a").id), 1).await;
    let behind = behind.expect("an answer");
    assert_eq!(behind.len(), 1);
    let dead = &behind[0];
    assert_eq!(dead.id, job(2, "a").id);
    assert_eq!(
        (
            dead.reason.as_str(),
            dead.attempts,
            dead.crashes,
            dead.cause
        ),
        ("job 2 is beyond help", 1, 0, Cause::Dead)
    );
    assert_eq!(dead.payload, job(2, "a").payload);
}

/// I9. The fence goes on, so no lease of its first life fits its second.
pub(super) async fn a_dead_job_lives_again_under_the_next_fence<Q: Queue + Operate>(queue: Arc<Q>) {
    let queue = &*queue;
    let boot = joined(queue).await;
    push(queue, vec![job(1, "a"), job(2, "a")]).await;
    quarantine(queue, boot).await;
    kill(queue, boot).await;
    assert_eq!(queue.retry_dead(&any(), 1).await.expect("an answer"), 1);
    assert_eq!(page(queue, any()).await, [2], "the oldest first");
    assert_eq!(queue.retry_dead(&any(), 9).await.expect("an answer"), 1);
    assert_eq!(queue.retry_dead(&any(), 9).await.expect("an answer"), 0);
    queue.promote().await.expect("the queue promotes");
    let mut alive = claim(queue, boot, 9).await;
    alive.sort_by_key(|job| job.meta.id);
    assert_eq!(numbers(&alive), [1, 2]);
    let shown: Vec<_> = alive
        .iter()
        .map(|job| (job.meta.attempt, job.meta.crashes, job.lease.fence.0))
        .collect();
    assert_eq!(shown, [(1, 0, 4), (1, 0, 2)]);
    for job in alive {
        assert_eq!(
            settle(queue, job.lease, Verdict::Done).await,
            Settled::Applied
        );
    }
}

pub(super) async fn a_dead_job_stays_where_its_key_is_taken<Q: Queue + Operate>(queue: Arc<Q>) {
    let queue = &*queue;
    let boot = joined(queue).await;
    let keyed = |number| NewJob {
        unique: Some("x".to_owned()),
        ..job(number, "a")
    };
    for number in [1, 2] {
        assert_eq!(push(queue, vec![keyed(number)]).await, [Pushed::Stored]);
        kill(queue, boot).await;
    }
    push(queue, vec![keyed(3)]).await;
    assert_eq!(queue.retry_dead(&any(), 9).await.expect("an answer"), 0);
    let third = claim_one(queue, boot).await;
    settle(queue, third.lease, Verdict::Done).await;
    assert_eq!(
        queue.retry_dead(&any(), 9).await.expect("an answer"),
        1,
        "of two that died with one key, one can live"
    );
    assert_eq!(page(queue, any()).await.len(), 1);
}

pub(super) async fn dead_jobs_are_discarded_by_filter<Q: Queue + Operate>(queue: Arc<Q>) {
    let queue = &*queue;
    let boot = joined(queue).await;
    for (number, tenant) in [(1, "x"), (2, "y"), (3, "x")] {
        push(queue, vec![of_tenant(tenant, job(number, "a"))]).await;
        kill(queue, boot).await;
    }
    let of_x = DeadFilter {
        tenant: Some("x".to_owned()),
        ..any()
    };
    assert_eq!(queue.discard_dead(&of_x, 1).await.expect("an answer"), 1);
    assert_eq!(page(queue, any()).await, [3, 2]);
    assert_eq!(queue.discard_dead(&of_x, 9).await.expect("an answer"), 1);
    assert_eq!(page(queue, any()).await, [2]);
}

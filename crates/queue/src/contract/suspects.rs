//! Jobs that crash (I10).

use std::sync::Arc;

use super::tools::{claim, claim_one, crashed, job, joined, lane, numbers, push, retry, settle};
use crate::{
    job::ClaimedJob,
    lease::BootId,
    operate::Operate,
    queue::{Queue, Settled},
};

async fn suspect<Q: Queue>(queue: &Q, boot: BootId) -> Option<ClaimedJob> {
    let lanes = [lane("b"), lane("a")];
    queue
        .claim_suspect(boot, &lanes)
        .await
        .expect("the queue gives jobs out")
}

/// One job that has crashed twice, beside one that has not.
async fn twice_crashed<Q: Queue>(queue: &Q) -> BootId {
    push(queue, vec![job(1, "a")]).await;
    let boot = joined(queue).await;
    for crashes in 0..2 {
        assert!(suspect(queue, boot).await.is_none());
        let claimed = claim_one(queue, boot).await;
        assert_eq!(claimed.meta.crashes, crashes);
        assert_eq!(
            settle(queue, claimed.lease, crashed()).await,
            Settled::Applied
        );
        queue.promote().await.expect("the queue promotes");
    }
    push(queue, vec![job(2, "a")]).await;
    boot
}

/// I10.
pub(super) async fn a_job_with_two_crashes_runs_apart<Q: Queue + Operate>(queue: Arc<Q>) {
    let boot = twice_crashed(&*queue).await;
    assert_eq!(numbers(&claim(&*queue, boot, 9).await), [2]);
    let other = queue.claim_suspect(boot, &[lane("b")]).await;
    assert_eq!(
        other.expect("the queue gives jobs out"),
        None,
        "of another lane"
    );
    queue.pause(&lane("a")).await.expect("a lane can be paused");
    assert_eq!(suspect(&*queue, boot).await, None, "of a paused lane");
    queue
        .resume(&lane("a"))
        .await
        .expect("a lane can be resumed");
    let apart = suspect(&*queue, boot).await.expect("one job runs apart");
    assert_eq!(
        (numbers(&[apart]), suspect(&*queue, boot).await),
        (vec![1], None)
    );
    queue.leave(boot).await.expect("a node can leave");
    let boot = joined(&*queue).await;
    assert_eq!(
        numbers(&claim(&*queue, boot, 9).await),
        [2],
        "a release clears nobody"
    );
    assert!(suspect(&*queue, boot).await.is_some());
}

/// P5.
pub(super) async fn the_third_crash_quarantines<Q: Queue>(queue: Arc<Q>) {
    let boot = twice_crashed(&*queue).await;
    let apart = suspect(&*queue, boot).await.expect("one job runs apart");
    assert_eq!(
        settle(&*queue, apart.lease, crashed()).await,
        Settled::Applied
    );
    queue.promote().await.expect("the queue promotes");
    assert_eq!(suspect(&*queue, boot).await, None);
    assert_eq!(numbers(&claim(&*queue, boot, 9).await), [2]);
}

pub(super) async fn an_end_that_is_no_crash_clears_a_job<Q: Queue>(queue: Arc<Q>) {
    let boot = twice_crashed(&*queue).await;
    let apart = suspect(&*queue, boot).await.expect("one job runs apart");
    settle(&*queue, apart.lease, retry()).await;
    queue.promote().await.expect("the queue promotes");
    let mut both = numbers(&claim(&*queue, boot, 9).await);
    both.sort_unstable();
    assert_eq!(both, [1, 2]);
    assert_eq!(suspect(&*queue, boot).await, None);
}

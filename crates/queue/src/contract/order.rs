//! The order within a lane, and keys.

use std::sync::Arc;

use super::tools::{claim, claim_one, job, joined, numbers, of_tenant, push, retry, settle};
use crate::{
    job::NewJob,
    queue::{Pushed, Queue},
    verdict::Verdict,
};

pub(super) async fn jobs_leave_a_lane_in_the_order_they_entered<Q: Queue>(queue: Arc<Q>) {
    // Against the order of their ids: of two nodes' ids, or after a clock set back, none tells who came first.
    for number in (1..=5).rev() {
        push(&*queue, vec![job(number, "a")]).await;
    }
    let boot = joined(&*queue).await;
    assert_eq!(numbers(&claim(&*queue, boot, 2).await), [5, 4]);
    assert_eq!(numbers(&claim(&*queue, boot, 9).await), [3, 2, 1]);
}

/// I15.
pub(super) async fn a_flood_of_one_tenant_does_not_hold_up_another<Q: Queue>(queue: Arc<Q>) {
    let flood = (1..=200).map(|number| of_tenant("loud", job(number, "a")));
    push(&*queue, flood.collect()).await;
    let boot = joined(&*queue).await;
    assert_eq!(claim(&*queue, boot, 50).await.len(), 50);
    let quiet = [
        of_tenant("quiet", job(300, "a")),
        of_tenant("quiet", job(301, "a")),
    ];
    push(&*queue, quiet.into()).await;
    let next = numbers(&claim(&*queue, boot, 6).await);
    assert!(
        next.contains(&300) && next.contains(&301),
        "two jobs of another are among the next six: {next:?}"
    );
    let others: Vec<_> = next.iter().filter(|number| **number < 300).collect();
    assert!(others.is_sorted(), "{next:?}");
}

/// I13. A job that comes back enters where the lane stands, not at its end and not below.
pub(super) async fn what_was_given_out_before_comes_first_again<Q: Queue>(queue: Arc<Q>) {
    push(&*queue, (1..=20).map(|number| job(number, "a")).collect()).await;
    let boot = joined(&*queue).await;
    let mut first = claim(&*queue, boot, 10).await;
    let (third, seventh) = (first.remove(2), first.remove(5));
    settle(&*queue, third.lease, Verdict::Release).await;
    settle(&*queue, seventh.lease, retry()).await;
    queue.promote().await.expect("the queue promotes");
    let mut next = numbers(&claim(&*queue, boot, 3).await);
    next.sort_unstable();
    assert_eq!(next, [3, 7, 11]);
}

pub(super) async fn a_key_is_shared_by_no_two_live_jobs<Q: Queue>(queue: Arc<Q>) {
    let keyed = |number, key: &str| NewJob {
        unique: Some(key.to_owned()),
        ..job(number, "a")
    };
    let pushed = push(
        &*queue,
        vec![
            keyed(1, "x"),
            keyed(2, "x"),
            keyed(3, "y"),
            job(4, "a"),
            job(5, "a"),
        ],
    );
    let (stored, known) = (Pushed::Stored, Pushed::Known);
    assert_eq!(pushed.await, [stored, known, stored, stored, stored]);
    let boot = joined(&*queue).await;
    let first = claim_one(&*queue, boot).await;
    assert_eq!(
        push(&*queue, vec![keyed(6, "x")]).await,
        [known],
        "a job in hand is alive"
    );
    settle(&*queue, first.lease, Verdict::Done).await;
    assert_eq!(push(&*queue, vec![keyed(6, "x")]).await, [stored]);
}

pub(super) async fn of_many_that_push_one_key_at_once_one_is_stored<Q: Queue>(queue: Arc<Q>) {
    let mut pushing = tokio::task::JoinSet::new();
    for number in 1..=40 {
        let queue = Arc::clone(&queue);
        let keyed = NewJob {
            unique: Some("x".to_owned()),
            ..job(number, "a")
        };
        pushing.spawn(async move { push(&*queue, vec![keyed]).await });
    }
    let stored = pushing.join_all().await.concat();
    let stored = stored.iter().filter(|pushed| **pushed == Pushed::Stored);
    assert_eq!(stored.count(), 1);
}

//! What people do with live jobs and lanes.

use std::{sync::Arc, time::Duration};

use super::tools::{HOUR, claim, claim_one, crashed, job, joined, lane, numbers, push, settle};
use crate::{
    job::{JobId, NewJob},
    operate::{Cancelled, Operate, Rescheduled},
    queue::Queue,
    verdict::Verdict,
};

/// I18.
pub(super) async fn nothing_is_given_out_of_a_paused_lane<Q: Queue + Operate>(queue: Arc<Q>) {
    let queue = &*queue;
    push(queue, vec![job(1, "a"), job(2, "b")]).await;
    let boot = joined(queue).await;
    let (a, b) = (lane("a"), lane("b"));
    let version = queue.pause(&a).await.expect("a lane can be paused");
    assert_eq!(claim(queue, boot, 9).await, []);
    let controls = queue.controls();
    assert!(controls.is_paused(&a) && !controls.is_paused(&b));
    assert_eq!(controls.version(), version);
    let again = queue.pause(&a).await.expect("a lane can be paused twice");
    assert!(again > version);
    let resumed = queue.resume(&a).await.expect("a lane can be resumed");
    assert!(resumed > again && !controls.is_paused(&a));
    assert_eq!(numbers(&claim(queue, boot, 9).await), [1]);
}

pub(super) async fn lanes_show_where_their_jobs_stand<Q: Queue + Operate>(queue: Arc<Q>) {
    let queue = &*queue;
    let later = NewJob {
        delay: HOUR,
        ..job(9, "a")
    };
    push(queue, vec![job(1, "a"), later]).await;
    let boot = joined(queue).await;
    for _ in 0..2 {
        let claimed = claim_one(queue, boot).await;
        settle(queue, claimed.lease, crashed()).await;
        queue.promote().await.expect("the queue promotes");
    }
    push(queue, (2..=4).map(|number| job(number, "a")).collect()).await;
    claim_one(queue, boot).await;
    queue.pause(&lane("b")).await.expect("a lane can be paused");
    let lanes = queue.lanes().await.expect("the queue shows its lanes");
    let shown: Vec<_> = lanes
        .iter()
        .map(|lane| {
            let counts = [lane.ready, lane.scheduled, lane.leased, lane.suspect];
            (
                lane.lane.as_str(),
                lane.paused,
                counts,
                lane.oldest.is_some(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [("a", false, [2, 1, 1, 1], true), ("b", true, [0; 4], false)]
    );
}

/// I25.
pub(super) async fn a_job_is_taken_back_unless_a_worker_holds_it<Q: Queue + Operate>(
    queue: Arc<Q>,
) {
    let queue = &*queue;
    let later = NewJob {
        delay: HOUR,
        ..job(1, "a")
    };
    push(queue, vec![later, job(2, "a"), job(3, "a")]).await;
    let boot = joined(queue).await;
    let held = claim_one(queue, boot).await;
    let cancel = async |number| {
        let id = job(number, "a").id;
        queue.cancel(id).await.expect("the queue answers")
    };
    assert_eq!(cancel(2).await, Cancelled::InHand);
    assert_eq!(cancel(1).await, Cancelled::Cancelled);
    assert_eq!(cancel(3).await, Cancelled::Cancelled);
    assert_eq!(cancel(3).await, Cancelled::Absent);
    assert_eq!(claim(queue, boot, 9).await, []);
    settle(queue, held.lease, Verdict::Release).await;
    assert_eq!(cancel(2).await, Cancelled::Cancelled);
}

/// I25.
pub(super) async fn a_job_is_moved_only_before_its_first_attempt<Q: Queue + Operate>(
    queue: Arc<Q>,
) {
    let queue = &*queue;
    let later = NewJob {
        delay: HOUR,
        ..job(1, "a")
    };
    push(queue, vec![later, job(2, "a")]).await;
    let boot = joined(queue).await;
    let to = async |id: JobId, delay| queue.reschedule(id, delay).await.expect("an answer");
    let (first, second) = (job(1, "a").id, job(2, "a").id);
    assert_eq!(to(second, HOUR).await, Rescheduled::TooLate, "ready");
    let held = claim_one(queue, boot).await;
    assert_eq!(to(second, HOUR).await, Rescheduled::TooLate, "in hand");
    let tried = Verdict::Retry {
        after: HOUR,
        error: "no luck".to_owned(),
    };
    settle(queue, held.lease, tried).await;
    assert_eq!(to(second, HOUR).await, Rescheduled::TooLate, "tried");
    assert_eq!(to(first, Duration::ZERO).await, Rescheduled::Rescheduled);
    queue.promote().await.expect("the queue promotes");
    assert_eq!(numbers(&claim(queue, boot, 9).await), [1]);
    assert_eq!(to(job(7, "a").id, HOUR).await, Rescheduled::Absent);
}

/// I25. Whoever wins, a job is never both taken back and given out.
pub(super) async fn a_cancel_and_a_claim_never_both_get_a_job<Q: Queue + Operate>(queue: Arc<Q>) {
    const JOBS: u128 = 40;
    push(&*queue, (1..=JOBS).map(|number| job(number, "a")).collect()).await;
    let boot = joined(&*queue).await;
    let claiming = {
        let queue = Arc::clone(&queue);
        async move {
            let mut given = Vec::new();
            loop {
                let claimed = claim(&*queue, boot, 3).await;
                if claimed.is_empty() {
                    return given;
                }
                given.extend(numbers(&claimed));
            }
        }
    };
    let cancelling = async {
        let mut taken = Vec::new();
        for number in (1..=JOBS).rev() {
            let id = job(number, "a").id;
            if queue.cancel(id).await.expect("an answer") == Cancelled::Cancelled {
                taken.push(number);
            }
        }
        taken
    };
    let (mut all, taken) = tokio::join!(claiming, cancelling);
    all.extend(taken);
    all.sort_unstable();
    assert_eq!(all, (1..=JOBS).collect::<Vec<_>>());
}

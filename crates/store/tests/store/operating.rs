//! What becomes of mail whose job dies, is quarantined, taken back, or runs out of time.

use std::time::Duration;

use posthaste_domain::{
    delivery::DeliveryState,
    id::MessageId,
    stores::{Accepted, MessageStore},
};
use posthaste_queue::{
    BootId, ClaimedJob, JobId, Operate, Queue, Settled, Settlement, Verdict,
    operate::{Cancelled, Cause, DeadFilter},
};
use sea_orm::{ConnectionTrait, Statement};

use crate::support::{Bench, owner};

async fn accepted(bench: &Bench) -> MessageId {
    let message = bench.message(&["ada@example.com", "bob@example.com"]);
    let id = message.id;
    let accepted = bench.store.accept(message, None).await;
    assert_eq!(accepted.expect("an answer"), Accepted::Stored);
    id
}

async fn states(bench: &Bench, id: MessageId) -> Vec<DeliveryState> {
    let stored = bench.store.message(&owner(), id).await;
    let stored = stored.expect("an answer");
    stored.expect("the message is there").states
}

async fn settle(bench: &Bench, job: ClaimedJob, verdict: Verdict) {
    let settlement = Settlement {
        lease: job.lease,
        verdict,
        effects: None,
    };
    let settled = bench.store.settle([settlement].into()).await;
    assert_eq!(settled.expect("an answer"), [Settled::Applied]);
}

fn crashed() -> Verdict {
    Verdict::Crashed {
        after: Duration::ZERO,
        error: "too late".into(),
    }
}

fn job(id: MessageId) -> JobId {
    JobId::from_uuid(id.as_uuid())
}

/// P5, I10. The mail ends in a state that says so, and goes on when a person puts its job back.
#[tokio::test]
async fn a_mail_whose_job_crashes_three_times_is_quarantined_and_can_be_put_back() {
    let bench = Bench::new().await;
    let id = accepted(&bench).await;
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    for _ in 0..2 {
        let claimed = bench.claim(boot, 1).await.remove(0);
        settle(&bench, claimed, crashed()).await;
    }
    assert_eq!(states(&bench, id).await, [DeliveryState::Queued; 2]);
    let lanes = ["transactional".parse().unwrap()];
    let apart = bench.store.claim_suspect(boot, &lanes).await.unwrap();
    settle(&bench, apart.expect("it runs apart"), crashed()).await;
    assert_eq!(states(&bench, id).await, [DeliveryState::Quarantined; 2]);
    let dead = bench
        .store
        .dead(&DeadFilter::default(), None, 9)
        .await
        .unwrap();
    let shown = (
        dead[0].id,
        dead[0].cause,
        dead[0].crashes,
        dead[0].tenant.as_str(),
    );
    assert_eq!(shown, (job(id), Cause::Quarantined, 3, "acme"));
    assert_eq!(dead[0].last_error.as_deref(), Some("too late"));
    // Long after its expiry, too.
    bench.advance(Duration::from_secs(30 * 86_400)).await;
    let filter = DeadFilter {
        id: Some(job(id)),
        ..DeadFilter::default()
    };
    assert_eq!(bench.store.retry_dead(&filter, 1).await.unwrap(), 1);
    assert_eq!(states(&bench, id).await, [DeliveryState::Queued; 2]);
    let promoted = bench.store.promote().await.unwrap();
    assert_eq!((promoted.count, promoted.expired), (1, 0));
    let again = bench.claim(boot, 1).await.remove(0);
    assert_eq!((again.meta.attempt, again.meta.crashes), (1, 0));
    let stored = bench
        .store
        .outgoing(id)
        .await
        .unwrap()
        .expect("the message");
    assert_eq!(stored.open.len(), 2);
}

/// P5. A mail whose job has died has failed; only what failed with it is opened again.
#[tokio::test]
async fn a_mail_whose_job_dies_has_failed_and_only_that_is_opened_again() {
    let bench = Bench::new().await;
    let id = accepted(&bench).await;
    let outside = bench.connect().await;
    let refused = "UPDATE deliveries SET state = 'failed', updated_at = 1 WHERE position = 0";
    outside.execute_unprepared(refused).await.unwrap();
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    let claimed = bench.claim(boot, 1).await.remove(0);
    let reason = "no handler could read it".to_owned();
    settle(&bench, claimed, Verdict::Dead { reason }).await;
    assert_eq!(states(&bench, id).await, [DeliveryState::Failed; 2]);
    let all = DeadFilter::default();
    assert_eq!(bench.store.retry_dead(&all, 9).await.unwrap(), 1);
    let (failed, queued) = (DeliveryState::Failed, DeliveryState::Queued);
    assert_eq!(states(&bench, id).await, [failed, queued]);
}

/// I25.
#[tokio::test]
async fn a_mail_that_is_taken_back_is_cancelled() {
    let bench = Bench::new().await;
    let id = accepted(&bench).await;
    let cancelled = bench.store.cancel(job(id)).await.unwrap();
    assert_eq!(cancelled, Cancelled::Cancelled);
    assert_eq!(states(&bench, id).await, [DeliveryState::Cancelled; 2]);
    let again = bench.store.cancel(job(id)).await.unwrap();
    assert_eq!(again, Cancelled::Absent);
}

/// I24. Of a paused stream, which no worker looks at.
#[tokio::test]
async fn mail_of_a_paused_stream_expires() {
    let bench = Bench::new().await;
    let lane = "transactional".parse().unwrap();
    bench.store.pause(&lane).await.unwrap();
    let id = accepted(&bench).await;
    assert_eq!(bench.store.promote().await.unwrap().expired, 0);
    bench.advance(Duration::from_secs(2 * 86_400)).await;
    assert_eq!(bench.store.promote().await.unwrap().expired, 1);
    assert_eq!(states(&bench, id).await, [DeliveryState::Expired; 2]);
    assert_eq!(bench.store.lanes().await.unwrap()[0].ready, 0);
}

/// I18. What was switched outlives the process.
#[tokio::test]
async fn a_paused_stream_is_paused_after_a_restart() {
    let bench = Bench::new().await;
    let lane = "transactional".parse().unwrap();
    let version = bench.store.pause(&lane).await.unwrap();
    accepted(&bench).await;
    let (bench, _) = bench.reopen().await;
    let controls = bench.store.controls();
    assert!(controls.is_paused(&lane) && controls.version() == version);
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    assert!(bench.claim(boot, 1).await.is_empty());
    bench.store.resume(&lane).await.unwrap();
    assert_eq!(bench.claim(boot, 1).await.len(), 1);
}

/// I13. What comes back enters no lower than its lane has given out, so a claim from the mark finds it.
#[tokio::test]
async fn what_comes_back_enters_no_lower_than_its_lane_has_given_out() {
    let bench = Bench::new().await;
    for _ in 0..20 {
        accepted(&bench).await;
    }
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    let first = bench.claim(boot, 20).await.remove(0);
    let id = first.meta.id.as_uuid();
    settle(&bench, first, Verdict::Release).await;
    let outside = bench.connect().await;
    let asked = "SELECT jobs.rank, lanes.rank FROM jobs JOIN lanes ON lanes.lane = jobs.lane WHERE jobs.id = $1";
    let asked = Statement::from_sql_and_values(outside.get_database_backend(), asked, [id.into()]);
    let row = outside.query_one_raw(asked).await.unwrap().expect("a row");
    let ranks: (i64, i64) = (
        row.try_get_by_index(0).unwrap(),
        row.try_get_by_index(1).unwrap(),
    );
    assert_eq!(ranks, (19, 19));
}

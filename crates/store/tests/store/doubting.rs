//! What is noted before a mail is sent, and what people decide about mail whose outcome nobody knows.

use std::time::Duration;

use posthaste_domain::{
    delivery::{BodyHash, Class, DeliveryReport, DeliveryState, Reply, Stage},
    message::NewMessage,
    stores::{Decided, Decisions, MessageStore, Resolution},
};
use posthaste_queue::{BootId, ClaimedJob, Fence, Operate, Queue, Settled, Verdict};

use crate::{
    settling::{report, settle},
    support::{Bench, owner},
};

const HASH: BodyHash = BodyHash([5; 32]);

/// A message in the hands of a node.
async fn in_hand(bench: &Bench, to: &[&str]) -> (NewMessage, BootId, ClaimedJob) {
    let message = bench.message(to);
    let accepted = bench.store.accept(message.clone(), None).await;
    accepted.expect("it is accepted");
    let boot = BootId::random();
    bench.store.join(boot).await.expect("the node joins");
    let job = bench.claim(boot, 1).await.remove(0);
    (message, boot, job)
}

async fn note(bench: &Bench, message: &NewMessage, job: &ClaimedJob, which: &[usize]) -> bool {
    let lease = (job.lease.boot, job.lease.fence);
    note_under(bench, message, lease, which).await
}

async fn note_under(
    bench: &Bench,
    message: &NewMessage,
    lease: (BootId, Fence),
    which: &[usize],
) -> bool {
    let recipients: Vec<_> = which
        .iter()
        .map(|&number| &message.deliveries[number].recipient)
        .collect();
    let noted = bench
        .store
        .put_in_doubt(lease, message.id, Some(&recipients), HASH)
        .await;
    noted.expect("the store answers")
}

/// The states, and whether each is in doubt.
async fn seen(bench: &Bench, message: &NewMessage) -> Vec<DeliveryState> {
    let stored = bench.store.deliveries(&owner(), message.id).await;
    let stored = stored
        .expect("they are read")
        .expect("the message is there");
    stored.iter().map(|delivery| delivery.state).collect()
}

async fn in_doubt(bench: &Bench, message: &NewMessage) -> Vec<bool> {
    let outgoing = bench.store.outgoing(message.id).await;
    let outgoing = outgoing.expect("it is read").expect("it is there");
    let doubt = |open: &posthaste_domain::stores::OpenDelivery| {
        open.doubt
            .as_ref()
            .is_some_and(|doubt| doubt.body_hash == HASH)
    };
    outgoing.open.iter().map(doubt).collect()
}

/// P2. The note outlives the process, and the next worker finds it.
#[tokio::test]
async fn what_is_about_to_be_sent_is_noted_for_whoever_comes_next() {
    let bench = Bench::new().await;
    let (message, _, job) = in_hand(&bench, &["ada@example.com", "bob@example.com"]).await;
    assert!(note(&bench, &message, &job, &[1]).await);
    assert_eq!(in_doubt(&bench, &message).await, [false, true]);
    let all = bench
        .store
        .put_in_doubt((job.lease.boot, job.lease.fence), message.id, None, HASH);
    assert!(all.await.expect("the store answers"));
    assert_eq!(in_doubt(&bench, &message).await, [true, true]);
    let (bench, _) = bench.reopen().await;
    assert_eq!(in_doubt(&bench, &message).await, [true, true]);
}

/// P3. Who has lost the job notes nothing, and so sends nothing.
#[tokio::test]
async fn nothing_is_noted_under_a_lease_that_is_not_the_newest() {
    let bench = Bench::new().await;
    let (message, boot, job) = in_hand(&bench, &["ada@example.com"]).await;
    let lease = (boot, job.lease.fence);
    assert!(!note_under(&bench, &message, (BootId::random(), lease.1), &[0]).await);
    bench.store.leave(boot).await.expect("it leaves");
    assert!(!note_under(&bench, &message, lease, &[0]).await);
    let next = BootId::random();
    bench.store.join(next).await.expect("the node joins");
    let again = bench.claim(next, 1).await.remove(0);
    assert!(!note_under(&bench, &message, lease, &[0]).await);
    assert!(!note_under(&bench, &message, (next, lease.1), &[0]).await);
    assert_eq!(in_doubt(&bench, &message).await, [false]);
    assert!(note(&bench, &message, &again, &[0]).await);
}

#[tokio::test]
async fn the_end_of_an_attempt_says_whether_the_doubt_stays() {
    let bench = Bench::new().await;
    let (message, boot, job) = in_hand(&bench, &["ada@example.com"]).await;
    assert!(note(&bench, &message, &job, &[0]).await);
    // A clear refusal at the dot: the mail was not taken.
    let again = Verdict::Retry {
        after: Duration::from_secs(60),
        error: "later".to_owned(),
    };
    let refused = report(bench_now(&bench), &message, DeliveryState::Deferred);
    assert_eq!(
        settle(&bench, job.lease, again, refused).await,
        Settled::Applied
    );
    assert_eq!(in_doubt(&bench, &message).await, [false]);
    bench.advance(Duration::from_secs(61)).await;
    bench.store.promote().await.expect("it is due");
    let job = bench.claim(boot, 1).await.remove(0);
    assert!(note(&bench, &message, &job, &[0]).await);
    // Given back, for nothing was sent after all.
    let outgoing = bench.store.outgoing(message.id).await;
    let mut open = outgoing.expect("it is read").expect("it is there").open;
    open[0].doubt = None;
    let nothing = DeliveryReport::of_nothing(message.id, &open);
    assert_eq!(
        settle(&bench, job.lease, Verdict::Release, nothing).await,
        Settled::Applied
    );
    assert_eq!(in_doubt(&bench, &message).await, [false]);
    assert_eq!(seen(&bench, &message).await, [DeliveryState::Deferred]);
}

fn bench_now(bench: &Bench) -> posthaste_domain::clock::Timestamp {
    posthaste_domain::clock::Clock::now(&*bench.clock)
}

/// I23. Whatever ends its job, what was perhaps sent is told as that.
#[tokio::test]
async fn what_was_perhaps_sent_is_uncertain_whatever_ends_its_job() {
    let bench = Bench::new().await;
    let (expired, boot, job) = in_hand(&bench, &["ada@example.com", "bob@example.com"]).await;
    assert!(note(&bench, &expired, &job, &[1]).await);
    let (cancelled, other, job) = in_hand(&bench, &["ada@example.com", "bob@example.com"]).await;
    assert!(note(&bench, &cancelled, &job, &[1]).await);
    for node in [boot, other] {
        bench.store.leave(node).await.expect("it leaves");
    }
    let id = posthaste_queue::JobId::from_uuid(cancelled.id.as_uuid());
    bench.store.cancel(id).await.expect("it is taken back");
    assert_eq!(
        seen(&bench, &cancelled).await,
        [DeliveryState::Cancelled, DeliveryState::Uncertain]
    );
    bench.advance(Duration::from_secs(2 * 86_400)).await;
    let promoted = bench.store.promote().await.expect("the store answers");
    assert_eq!(promoted.expired, 1);
    assert_eq!(
        seen(&bench, &expired).await,
        [DeliveryState::Expired, DeliveryState::Uncertain]
    );
}

/// An uncertain mail that has ended.
async fn uncertain(bench: &Bench) -> NewMessage {
    let (message, boot, job) = in_hand(bench, &["ada@example.com", "bob@example.com"]).await;
    assert!(note(bench, &message, &job, &[0, 1]).await);
    let mut lost = report(bench_now(bench), &message, DeliveryState::Uncertain);
    lost.results[1].state = DeliveryState::Delivered;
    lost.results[0].reply = Some(Reply::new(Stage::Dot, Class::Uncertain, "no reply"));
    let settled = settle(bench, job.lease, Verdict::Done, lost).await;
    assert_eq!(settled, Settled::Applied);
    bench.store.leave(boot).await.expect("it leaves");
    message
}

#[tokio::test]
async fn a_person_says_how_it_ended() {
    let bench = Bench::new().await;
    for (resolution, state) in [
        (Resolution::Delivered, DeliveryState::Delivered),
        (Resolution::Failed, DeliveryState::Failed),
    ] {
        let message = uncertain(&bench).await;
        let stranger = "another".parse().expect("an owner");
        let of = |owner, id| bench.store.resolve(owner, id, resolution);
        assert_eq!(
            of(&stranger, message.id).await.expect("an answer"),
            Decided::Absent
        );
        let (me, id) = (owner(), message.id);
        assert_eq!(of(&me, id).await.expect("an answer"), Decided::Done);
        assert_eq!(
            seen(&bench, &message).await,
            [state, DeliveryState::Delivered]
        );
        assert_eq!(
            of(&me, id).await.expect("an answer"),
            Decided::NothingToDecide
        );
    }
}

#[tokio::test]
async fn a_retry_opens_what_did_not_arrive_under_a_fence_of_its_own() {
    let bench = Bench::new().await;
    let message = uncertain(&bench).await;
    let (me, id) = (owner(), message.id);
    let old = bench
        .store
        .outgoing(id)
        .await
        .expect("read")
        .expect("there");
    assert!(old.open.is_empty());
    assert_eq!(
        bench.store.retry(&me, id).await.expect("an answer"),
        Decided::Done
    );
    assert_eq!(
        seen(&bench, &message).await,
        [DeliveryState::Deferred, DeliveryState::Delivered]
    );
    assert_eq!(
        in_doubt(&bench, &message).await,
        [false],
        "a person has decided"
    );
    bench.store.promote().await.expect("it is due");
    let boot = BootId::random();
    bench.store.join(boot).await.expect("the node joins");
    let job = bench.claim(boot, 1).await.remove(0);
    assert_eq!(job.lease.job.as_uuid(), id.as_uuid());
    assert!(
        job.lease.fence > Fence(1),
        "no lease of its first life fits"
    );
    assert_eq!(
        bench.store.retry(&me, id).await.expect("an answer"),
        Decided::InHand
    );
    let done = report(bench_now(&bench), &message, DeliveryState::Delivered);
    let settled = settle(&bench, job.lease, Verdict::Done, done).await;
    assert_eq!(settled, Settled::Applied);
    assert_eq!(
        bench.store.retry(&me, id).await.expect("an answer"),
        Decided::NothingToDecide
    );
}

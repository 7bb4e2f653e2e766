//! Mail for later: when its job is due, and what moving it changes.

use std::time::Duration;

use posthaste_domain::{
    clock::{Clock, later},
    delivery::{DeliveryState, MessageStatus},
    message::NewMessage,
    stores::{Decided, Decisions, MessageStore, Move},
};
use posthaste_queue::{BootId, Queue, Verdict};

use crate::{
    settling::{report, settle},
    support::{Bench, owner},
};

const HOUR: Duration = Duration::from_secs(3600);
const USUAL: Duration = Duration::from_secs(86_400);

/// Accepted for in an hour; it is tried for a day from then.
async fn scheduled(bench: &Bench) -> NewMessage {
    let mut message = bench.message(&["ada@example.com"]);
    let due_at = later(message.created_at, HOUR);
    message.scheduled_at = Some(due_at);
    message.expires_at = later(due_at, USUAL);
    let accepted = bench.store.accept(message.clone(), None).await;
    accepted.expect("it is accepted");
    message
}

async fn status(bench: &Bench, message: &NewMessage) -> MessageStatus {
    let stored = bench.store.message(&owner(), message.id).await;
    stored.expect("it is read").expect("it is there").status()
}

fn to(bench: &Bench, wait: Duration) -> Move {
    Move {
        due_at: later(bench.clock.now(), wait),
        wait,
        usual_expiry: USUAL,
    }
}

async fn moved(bench: &Bench, message: &NewMessage, to: Move) -> Decided {
    let decided = bench.store.reschedule(&owner(), message.id, to).await;
    decided.expect("the store answers")
}

/// How many jobs can be claimed after so long a wait.
async fn due_after(bench: &Bench, boot: BootId, wait: Duration) -> usize {
    bench.advance(wait).await;
    bench.store.promote().await.expect("the store answers");
    bench.claim(boot, 9).await.len()
}

#[tokio::test]
async fn a_scheduled_mail_is_not_given_out_before_its_time() {
    let bench = Bench::new().await;
    let message = scheduled(&bench).await;
    assert_eq!(status(&bench, &message).await, MessageStatus::Scheduled);
    let boot = BootId::random();
    bench.store.join(boot).await.expect("the node joins");
    assert_eq!(
        due_after(&bench, boot, HOUR - Duration::from_secs(60)).await,
        0
    );
    assert_eq!(due_after(&bench, boot, Duration::from_secs(61)).await, 1);
    assert_eq!(status(&bench, &message).await, MessageStatus::Sending);
    let outgoing = bench.store.outgoing(message.id).await;
    let outgoing = outgoing.expect("it is read").expect("it is there");
    let dated = outgoing.message.due_at() - outgoing.message.created_at;
    assert_eq!(dated.to_std(), Ok(HOUR), "with the time that is its Date");
    // Not over yet a day after it was accepted, for its day began when it was due.
    let now = bench.clock.now();
    assert!(outgoing.expires_at > later(now, USUAL - HOUR));
}

#[tokio::test]
async fn a_scheduled_mail_can_be_moved_and_its_usual_expiry_moves_along() {
    let bench = Bench::new().await;
    let message = scheduled(&bench).await;
    let boot = BootId::random();
    bench.store.join(boot).await.expect("the node joins");
    let later_on = to(&bench, 48 * HOUR);
    assert_eq!(moved(&bench, &message, later_on).await, Decided::Done);
    let stored = bench.store.message(&owner(), message.id).await;
    let stored = stored.expect("it is read").expect("it is there").message;
    assert_eq!(stored.scheduled_at, Some(later_on.due_at));
    assert_eq!(stored.expires_at, later(later_on.due_at, USUAL));
    assert_eq!(due_after(&bench, boot, 47 * HOUR).await, 0);
    let at_once = to(&bench, Duration::ZERO);
    assert_eq!(moved(&bench, &message, at_once).await, Decided::Done);
    assert_eq!(due_after(&bench, boot, Duration::from_secs(1)).await, 1);
    assert_eq!(moved(&bench, &message, at_once).await, Decided::InHand);
}

#[tokio::test]
async fn only_mail_that_waits_for_its_time_is_moved() {
    let bench = Bench::new().await;
    let message = scheduled(&bench).await;
    let stranger = "another".parse().expect("an owner");
    let move_it = bench
        .store
        .reschedule(&stranger, message.id, to(&bench, HOUR));
    assert_eq!(move_it.await.expect("an answer"), Decided::Absent);
    let mut own = bench.message(&["ada@example.com"]);
    own.scheduled_at = Some(later(own.created_at, HOUR));
    own.expires_at = later(own.created_at, 2 * HOUR);
    let accepted = bench.store.accept(own.clone(), None).await;
    accepted.expect("it is accepted");
    assert_eq!(
        moved(&bench, &own, to(&bench, 2 * HOUR)).await,
        Decided::Expired
    );
    let half = to(&bench, HOUR / 2);
    assert_eq!(moved(&bench, &own, half).await, Decided::Done);
    let stored = bench.store.message(&owner(), own.id).await;
    let stored = stored.expect("it is read").expect("it is there").message;
    assert_eq!(
        stored.expires_at, own.expires_at,
        "one that was given stays"
    );

    let boot = BootId::random();
    bench.store.join(boot).await.expect("the node joins");
    let at_once = bench.message(&["ada@example.com"]);
    let accepted = bench.store.accept(at_once.clone(), None).await;
    accepted.expect("it is accepted");
    let to_later = to(&bench, HOUR);
    assert_eq!(
        moved(&bench, &at_once, to_later).await,
        Decided::NothingToDecide
    );
    // What is tried again waits too, but nobody chose that time.
    assert_eq!(due_after(&bench, boot, HOUR / 2).await, 2);
    let job = posthaste_queue::JobId::from_uuid(own.id.as_uuid());
    let lease = posthaste_queue::Lease {
        job,
        fence: posthaste_queue::Fence(1),
        boot,
    };
    let verdict = Verdict::Retry {
        after: HOUR,
        error: "later".to_owned(),
    };
    let deferred = report(bench.clock.now(), &own, DeliveryState::Deferred);
    settle(&bench, lease, verdict, deferred).await;
    assert_eq!(
        moved(&bench, &own, to_later).await,
        Decided::NothingToDecide
    );
    assert_eq!(status(&bench, &own).await, MessageStatus::Deferred);
}

/// As much time again as it had, which counted from when it was due.
#[tokio::test]
async fn a_scheduled_mail_that_failed_is_tried_again_for_as_long_as_it_had() {
    let bench = Bench::new().await;
    let message = scheduled(&bench).await;
    let boot = BootId::random();
    bench.store.join(boot).await.expect("the node joins");
    bench.advance(HOUR).await;
    bench.store.promote().await.expect("the store answers");
    let job = bench.claim(boot, 1).await.remove(0);
    let failed = report(bench.clock.now(), &message, DeliveryState::Failed);
    settle(&bench, job.lease, Verdict::Done, failed).await;
    let again = bench.store.retry(&owner(), message.id).await;
    assert_eq!(again.expect("the store answers"), Decided::Done);
    let stored = bench.store.message(&owner(), message.id).await;
    let stored = stored.expect("it is read").expect("it is there").message;
    // On a server the database's clock counts, which was not set forward.
    let ahead = if bench.is_on_a_server() {
        HOUR
    } else {
        Duration::ZERO
    };
    let left = later(stored.expires_at, ahead) - bench.clock.now();
    let (left, usual) = (left.num_minutes(), 24 * 60);
    assert!((usual - 1..=usual).contains(&left), "{left} min");
}

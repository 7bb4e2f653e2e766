//! Ends of jobs with the outcomes that are committed with them.

use std::{sync::Arc, time::Duration};

use posthaste_domain::{
    clock::{Clock, Timestamp},
    delivery::{
        AttemptRun, BodyHash, Class, DeliveryReport, DeliveryResult, DeliveryState, Reply, Stage,
    },
    message::NewMessage,
    stores::MessageStore,
};
use posthaste_queue::{BootId, Lease, Queue, Settled, Settlement, Verdict};

use crate::support::{Bench, owner};

pub(crate) fn report(now: Timestamp, message: &NewMessage, state: DeliveryState) -> DeliveryReport {
    let open = !state.is_final();
    let class = if open {
        Class::Transient
    } else {
        Class::Accepted
    };
    let result = |delivery: &posthaste_domain::message::NewDelivery| DeliveryResult {
        delivery: delivery.id,
        state,
        reply: Some(
            Reply::new(Stage::Dot, class, "as you like").with_code(250, "2.0.0".parse().ok()),
        ),
        next_attempt: open.then_some(Duration::from_secs(60)),
        doubt: None,
    };
    DeliveryReport {
        message: message.id,
        run: Some(AttemptRun {
            started_at: now,
            duration: Duration::from_millis(12),
            transport: "relay".into(),
            remote: Some("127.0.0.1:25".into()),
            body_hash: Some(BodyHash([9; 32])),
            transcript: Some("     0 C EHLO localhost\n".into()),
        }),
        results: message.deliveries.iter().map(result).collect(),
    }
}

pub(crate) async fn settle(
    bench: &Bench,
    lease: Lease,
    verdict: Verdict,
    effects: DeliveryReport,
) -> Settled {
    let batch = [Settlement {
        lease,
        verdict,
        effects: Some(effects),
    }];
    bench
        .store
        .settle(Arc::new(batch))
        .await
        .expect("the queue settles")[0]
}

/// A way out that is down is told with the delivery, and costs it none of its tries.
#[tokio::test]
async fn an_attempt_that_never_reached_the_mail_is_kept_and_not_counted() {
    let bench = Bench::new().await;
    let message = bench.message(&["ada@example.com"]);
    bench
        .store
        .accept(message.clone(), None)
        .await
        .expect("it is accepted");
    let boot = BootId::random();
    bench.store.join(boot).await.expect("the node joins");
    let job = bench.claim(boot, 1).await.remove(0);
    let mut away = report(bench.clock.now(), &message, DeliveryState::Deferred);
    away.results[0].reply = Some(Reply::new(
        Stage::Connect,
        Class::Transient,
        "connection refused",
    ));
    let wait = Verdict::Snooze {
        after: Duration::from_secs(30),
    };
    assert_eq!(
        settle(&bench, job.lease, wait, away).await,
        Settled::Applied
    );
    let stored = bench.store.deliveries(&owner(), message.id).await;
    let delivery = stored
        .expect("they are read")
        .expect("they are there")
        .remove(0);
    assert_eq!(
        (delivery.state, delivery.tries),
        (DeliveryState::Deferred, 0)
    );
    assert_eq!(delivery.attempts[0].reply.text, "connection refused");
    bench.advance(Duration::from_secs(31)).await;
    bench.store.promote().await.expect("it is due");
    let again = bench.claim(boot, 1).await.remove(0);
    assert_eq!(
        again.meta.attempt, 1,
        "of the job's attempts none was spent"
    );
}

#[tokio::test]
async fn an_outcome_is_committed_with_the_end_of_its_job() {
    let bench = Bench::new().await;
    let message = bench.message(&["ada@example.com", "bob@example.com"]);
    bench.store.accept(message.clone(), None).await.unwrap();
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    let first = bench.claim(boot, 1).await.remove(0);
    assert!(
        bench
            .store
            .message(&owner(), message.id)
            .await
            .unwrap()
            .unwrap()
            .leased
    );
    let retry = Verdict::Retry {
        after: Duration::from_secs(60),
        error: "later".into(),
    };
    let deferred = report(bench.clock.now(), &message, DeliveryState::Deferred);
    assert_eq!(
        settle(&bench, first.lease, retry, deferred).await,
        Settled::Applied
    );
    let waiting = bench
        .store
        .deliveries(&owner(), message.id)
        .await
        .unwrap()
        .unwrap();
    let next = waiting[0].next_attempt_at.unwrap();
    let wait = (next - bench.clock.now()).num_seconds();
    assert!((60..65).contains(&wait), "{wait} s");
    assert!(bench.claim(boot, 1).await.is_empty(), "it waits");

    bench.advance(Duration::from_secs(60)).await;
    assert_eq!(bench.store.promote().await.unwrap().count, 1);
    let second = bench.claim(boot, 1).await.remove(0);
    assert_eq!(second.meta.attempt, 2);
    let delivered = report(bench.clock.now(), &message, DeliveryState::Delivered);
    assert_eq!(
        settle(&bench, second.lease, Verdict::Done, delivered).await,
        Settled::Applied
    );
    for delivery in bench
        .store
        .deliveries(&owner(), message.id)
        .await
        .unwrap()
        .unwrap()
    {
        assert_eq!(
            (delivery.state, delivery.tries),
            (DeliveryState::Delivered, 2)
        );
        assert_eq!(delivery.next_attempt_at, None);
        let classes: Vec<_> = delivery
            .attempts
            .iter()
            .map(|attempt| attempt.reply.class)
            .collect();
        assert_eq!(classes, [Class::Transient, Class::Accepted]);
        assert_eq!(delivery.attempts[1].reply.code, Some(250));
        assert_eq!(delivery.attempts[1].run.body_hash, Some(BodyHash([9; 32])));
        let kept = delivery.attempts[1].run.transcript.is_some();
        assert_eq!(
            kept,
            delivery.id == message.deliveries[0].id,
            "once for the run"
        );
    }
    assert!(
        bench
            .store
            .outgoing(message.id)
            .await
            .unwrap()
            .unwrap()
            .open
            .is_empty()
    );
}

/// I9, I29. A stale settle changes no state; its attempt row is kept, marked.
#[tokio::test]
async fn a_stale_settle_leaves_only_a_marked_attempt() {
    let bench = Bench::new().await;
    let message = bench.message(&["ada@example.com"]);
    let other = bench.message(&["bob@example.com"]);
    bench.store.accept(message.clone(), None).await.unwrap();
    let (slow, quick) = (BootId::random(), BootId::random());
    bench.store.join(slow).await.unwrap();
    bench.store.join(quick).await.unwrap();
    let old = bench.claim(slow, 1).await.remove(0);
    bench.store.leave(slow).await.unwrap();
    let new = bench.claim(quick, 1).await.remove(0);
    bench.store.accept(other.clone(), None).await.unwrap();
    let healthy = bench.claim(quick, 1).await.remove(0);

    let delivered = |message| Some(report(bench.clock.now(), message, DeliveryState::Delivered));
    let batch = [
        Settlement {
            lease: old.lease,
            verdict: Verdict::Done,
            effects: delivered(&message),
        },
        Settlement {
            lease: healthy.lease,
            verdict: Verdict::Done,
            effects: delivered(&other),
        },
    ];
    let settled = bench.store.settle(Arc::new(batch)).await.unwrap();
    assert_eq!(settled, [Settled::Stale, Settled::Applied]);
    let seen = bench
        .store
        .deliveries(&owner(), message.id)
        .await
        .unwrap()
        .unwrap()
        .remove(0);
    assert_eq!((seen.state, seen.tries), (DeliveryState::Queued, 0));
    assert!(seen.attempts[0].stale);
    let seen = bench
        .store
        .deliveries(&owner(), other.id)
        .await
        .unwrap()
        .unwrap()
        .remove(0);
    assert_eq!(seen.state, DeliveryState::Delivered);
    assert!(!seen.attempts[0].stale);
    let delivered = report(bench.clock.now(), &message, DeliveryState::Delivered);
    assert_eq!(
        settle(&bench, new.lease, Verdict::Done, delivered).await,
        Settled::Applied
    );
}

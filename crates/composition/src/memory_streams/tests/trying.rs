//! The one attempt of a mail in memory, and what follows it.

use std::{sync::Arc, time::Duration};

use posthaste_domain::{
    delivery::{Class, Reply, Stage},
    stores::{MockMessageStore, StoreError},
};
use posthaste_mail::{
    Scope, SendError,
    memory::{Act, MemoryTransport},
};
use posthaste_queue::ControlVersion;

use super::bench::{Bench, SECOND, bounds, counts, ids, mail, settle, spilling};
use crate::memory_streams::{Unsent, WhenFull};

fn reply(class: Class) -> Reply {
    Reply::new(Stage::Rcpt, class, "scripted")
}

/// The mock refuses every call.
#[tokio::test(start_paused = true)]
async fn mail_of_a_stream_in_memory_is_sent_without_the_store() {
    let transport = Arc::new(MemoryTransport::new("memory"));
    let bench = Bench::new(
        bounds(WhenFull::Wait, Unsent::Spill),
        MockMessageStore::new(),
        Arc::<MemoryTransport>::clone(&transport),
    );
    let running = bench.start();
    let mails: Vec<_> = (0..20).map(|_| mail(&["ada@example.com"])).collect();
    for mail in &mails {
        bench.submit(mail).await.expect("there is room soon");
    }
    transport.wait_for(20).await;
    bench.stop.request();
    running.await.expect("no panic");
    assert_eq!(bench.counts(), counts(20, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_deferred_is_spilled_with_its_wait_for_the_recipients_that_are_open() {
    let transport = Arc::new(MemoryTransport::new("memory"));
    transport.answer("bob@example.com", reply(Class::Transient));
    transport.answer("eve@example.com", reply(Class::Permanent));
    let (store, spilled) = spilling();
    let bench = Bench::new(bounds(WhenFull::Wait, Unsent::Spill), store, transport);
    let running = bench.start();
    let mail = mail(&["ada@example.com", "bob@example.com", "eve@example.com"]);
    bench.submit(&mail).await.expect("there is room");
    settle().await;
    {
        let spilled = spilled.lock().expect("no panic");
        let (stored, after) = &spilled[0];
        assert_eq!((stored.id, *after), (mail.id, 40 * SECOND));
        let open: Vec<_> = stored.deliveries.iter().map(|open| open.id).collect();
        assert_eq!(open, [mail.deliveries[1].id]);
        assert_eq!(
            stored.recipients, mail.recipients,
            "the bytes stay the same"
        );
    }
    bench.stop.request();
    running.await.expect("no panic");
    assert_eq!(bench.counts(), counts(0, 1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_deferred_is_dropped_and_counted_on_a_stream_that_drops() {
    let transport = Arc::new(MemoryTransport::new("memory"));
    transport.answer("bob@example.com", reply(Class::Transient));
    let bench = Bench::new(
        bounds(WhenFull::Wait, Unsent::Drop),
        MockMessageStore::new(),
        transport,
    );
    let running = bench.start();
    let mail = mail(&["bob@example.com"]);
    bench.submit(&mail).await.expect("there is room");
    settle().await;
    bench.stop.request();
    running.await.expect("no panic");
    assert_eq!(bench.counts(), counts(0, 0, 1, 0));
}

/// I38.
#[tokio::test(start_paused = true)]
async fn a_mail_of_unknown_outcome_is_never_spilled() {
    let transport = Arc::new(MemoryTransport::new("memory"));
    transport.next(Act::Fail(SendError {
        scope: Scope::Message,
        reply: Reply::new(Stage::Dot, Class::Uncertain, "no reply"),
        remote: None,
        trail: None,
    }));
    let bench = Bench::new(
        bounds(WhenFull::Wait, Unsent::Spill),
        MockMessageStore::new(),
        transport,
    );
    let running = bench.start();
    bench
        .submit(&mail(&["ada@example.com"]))
        .await
        .expect("there is room");
    settle().await;
    bench.stop.request();
    running.await.expect("no panic");
    assert_eq!(bench.counts(), counts(0, 0, 0, 1));
}

/// A store that is away for a while costs nothing but time; one that answers with "unknown" is asked.
#[tokio::test(start_paused = true)]
async fn spilling_goes_on_until_the_mail_is_stored() {
    let transport = Arc::new(MemoryTransport::new("memory"));
    transport.answer("bob@example.com", reply(Class::Transient));
    let mut store = MockMessageStore::new();
    let mut answers = vec![
        Err(StoreError::OutcomeUnknown(None)),
        Err(StoreError::Unavailable(None)),
        Err(StoreError::Overloaded),
    ];
    store
        .expect_spill()
        .times(3)
        .returning(move |_, _| answers.pop().expect("three calls"));
    let bob = mail(&["bob@example.com"]);
    let stored = posthaste_domain::stores::OutgoingMessage {
        message: bob.clone(),
        open: Vec::new(),
        expires_at: bob.expires_at,
    };
    store
        .expect_outgoing()
        .times(1)
        .returning(move |_| Ok(Some(stored.clone())));
    let bench = Bench::new(bounds(WhenFull::Wait, Unsent::Spill), store, transport);
    let running = bench.start();
    bench.submit(&bob).await.expect("there is room");
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(bench.counts(), counts(0, 1, 0, 0));
    bench.stop.request();
    running.await.expect("no panic");
}

/// An attempt that never ends does not keep its permit.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_is_ended_at_its_deadline_and_spilled() {
    let transport = Arc::new(MemoryTransport::new("memory"));
    transport.next(Act::Hang);
    let (store, spilled) = spilling();
    let bench = Bench::new(
        bounds(WhenFull::Wait, Unsent::Spill),
        store,
        Arc::<MemoryTransport>::clone(&transport),
    );
    let running = bench.start();
    let (hanging, next) = (mail(&["ada@example.com"]), mail(&["bob@example.com"]));
    bench.submit(&hanging).await.expect("there is room");
    bench.submit(&next).await.expect("there is room");
    tokio::time::sleep(Duration::from_secs(601)).await;
    assert_eq!(ids(&spilled), [hanging.id]);
    assert_eq!(transport.sent().len(), 1, "the next one had its turn");
    bench.stop.request();
    running.await.expect("no panic");
}

/// I18. Operators pause a stream in memory as any other.
#[tokio::test(start_paused = true)]
async fn nothing_of_a_paused_stream_is_sent() {
    let transport = Arc::new(MemoryTransport::new("memory"));
    let bench = Bench::new(
        bounds(WhenFull::Wait, Unsent::Spill),
        MockMessageStore::new(),
        Arc::<MemoryTransport>::clone(&transport),
    );
    let lane = "preview".parse().expect("a lane");
    bench.controls.apply(ControlVersion(1), [lane]);
    let running = bench.start();
    let mail = mail(&["ada@example.com"]);
    bench.submit(&mail).await.expect("there is room");
    tokio::time::sleep(60 * SECOND).await;
    assert!(transport.sent().is_empty());
    bench.controls.apply(ControlVersion(2), []);
    transport.wait_for(1).await;
    bench.stop.request();
    running.await.expect("no panic");
    assert_eq!(bench.counts(), counts(1, 0, 0, 0));
}

//! The stop of a stream in memory.

use std::sync::Arc;

use posthaste_domain::stores::{Accepted, MockMessageStore, StoreError};
use posthaste_mail::memory::{Act, MemoryTransport};

use super::bench::{Bench, SECOND, Silent, bounds, counts, ids, mail, settle, spilling};
use crate::memory_streams::{Unsent, WhenFull};

/// I38. What has begun is finished, what has not is stored under its own id, and nothing more is let in.
#[tokio::test(start_paused = true)]
async fn what_has_not_begun_is_spilled_under_its_own_id() {
    let (mut store, spilled) = spilling();
    store
        .expect_accept()
        .times(1)
        .returning(|_, _| Ok(Accepted::Stored));
    let transport = Arc::new(MemoryTransport::new("memory"));
    transport.next(Act::Hang);
    let bench = Bench::new(bounds(WhenFull::Wait, Unsent::Spill), store, transport);
    let running = bench.start();
    let mails: Vec<_> = (0..3).map(|_| mail(&["ada@example.com"])).collect();
    for mail in &mails {
        bench.submit(mail).await.expect("there is room");
    }
    settle().await;
    bench.stop.request();
    settle().await;
    assert_eq!(ids(&spilled), [mails[1].id, mails[2].id]);
    let late = bench.submit(&mail(&["ada@example.com"])).await;
    assert_eq!(late.expect("it is stored"), Accepted::Stored);
    assert!(!running.is_finished(), "the one in hand goes on");
    // It has not come to its dot when its time is over.
    bench.stop.force();
    running.await.expect("no panic");
    assert_eq!(ids(&spilled), [mails[1].id, mails[2].id, mails[0].id]);
    assert_eq!(bench.counts(), counts(0, 4, 0, 0));
}

/// I38.
#[tokio::test(start_paused = true)]
async fn what_has_not_begun_is_dropped_and_counted_on_a_stream_that_drops() {
    let transport = Arc::new(MemoryTransport::new("memory"));
    transport.next(Act::Hang);
    let bench = Bench::new(
        bounds(WhenFull::Wait, Unsent::Drop),
        MockMessageStore::new(),
        transport,
    );
    let running = bench.start();
    for _ in 0..3 {
        bench
            .submit(&mail(&["ada@example.com"]))
            .await
            .expect("there is room");
    }
    settle().await;
    bench.stop.request();
    settle().await;
    assert_eq!(bench.counts(), counts(0, 0, 2, 0));
    let late = bench.submit(&mail(&["ada@example.com"])).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    bench.stop.force();
    running.await.expect("no panic");
    assert_eq!(bench.counts(), counts(0, 0, 3, 0));
}

/// I38. The dot is out: the server may have taken it.
#[tokio::test(start_paused = true)]
async fn a_mail_whose_dot_is_out_is_never_spilled() {
    let bench = Bench::new(
        bounds(WhenFull::Wait, Unsent::Spill),
        MockMessageStore::new(),
        Arc::new(Silent),
    );
    let running = bench.start();
    bench
        .submit(&mail(&["ada@example.com"]))
        .await
        .expect("there is room");
    settle().await;
    bench.stop.request();
    settle().await;
    assert!(!running.is_finished(), "its reply is waited for");
    bench.stop.force();
    running.await.expect("no panic");
    assert_eq!(bench.counts(), counts(0, 0, 0, 1));
}

/// I38. Spilling ends with the budget.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_in_time_is_dropped_and_counted() {
    let mut store = MockMessageStore::new();
    store
        .expect_spill()
        .returning(|_, _| Err(StoreError::Unavailable(None)));
    let transport = Arc::new(MemoryTransport::new("memory"));
    transport.next(Act::Hang);
    let bench = Bench::new(bounds(WhenFull::Wait, Unsent::Spill), store, transport);
    let running = bench.start();
    for _ in 0..4 {
        bench
            .submit(&mail(&["ada@example.com"]))
            .await
            .expect("there is room");
        settle().await;
    }
    bench.stop.request();
    tokio::time::sleep(25 * SECOND).await;
    assert_eq!(bench.counts(), counts(0, 0, 0, 0), "it goes on trying");
    let forced = tokio::time::Instant::now();
    bench.stop.force();
    running.await.expect("no panic");
    assert!(forced.elapsed() < SECOND, "{:?}", forced.elapsed());
    assert_eq!(bench.counts(), counts(0, 0, 4, 0));
}

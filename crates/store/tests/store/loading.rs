//! What workers are about to send, read for many at once.

use std::sync::Arc;

use futures_util::{FutureExt, future::join_all};
use posthaste_domain::{id::MessageId, stores::MessageStore};
use tokio::task::JoinSet;

use crate::support::Bench;

async fn accepted(bench: &Bench, count: usize) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for number in 0..count {
        let to = format!("user{number}@example.com");
        let message = bench.message(&[&to, "bob@example.com"]);
        ids.push(message.id);
        let accepted = bench.store.accept(message, None).await;
        accepted.expect("it is accepted");
    }
    ids
}

/// More than one read takes, asked for at the same time: each gets its own, and one that is not there nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_many_gets_its_own_message() {
    let bench = Bench::new().await;
    let mut ids = accepted(&bench, 150).await;
    ids.push(
        "0199a5f0-0000-7000-8000-000000000001"
            .parse()
            .expect("an id"),
    );
    let missing = ids.len() - 1;
    let mut asked = JoinSet::new();
    for (number, id) in ids.iter().copied().enumerate() {
        let store = Arc::clone(&bench.store);
        asked.spawn(async move { (number, store.outgoing(id).await) });
    }
    for (number, found) in asked.join_all().await {
        let found = found.expect("the store answers");
        if number == missing {
            assert_eq!(found, None);
            continue;
        }
        let found = found.expect("it is there");
        assert_eq!(found.message.id, ids[number]);
        let to: Vec<_> = found
            .open
            .iter()
            .map(|open| open.recipient.expose())
            .collect();
        assert_eq!(
            to,
            [
                format!("user{number}@example.com").as_str(),
                "bob@example.com"
            ]
        );
    }
}

/// A worker that is stopped while it reads for others leaves none of them waiting.
#[tokio::test]
async fn whoever_is_dropped_while_reading_leaves_nobody_waiting() {
    let bench = Bench::new().await;
    let ids = accepted(&bench, 40).await;
    let mut asked: Vec<_> = ids.iter().map(|id| bench.store.outgoing(*id)).collect();
    for ask in &mut asked {
        assert!(ask.as_mut().now_or_never().is_none(), "it takes a while");
    }
    // The first two read for themselves. The third has the next turn, and reads for all behind it.
    let mut rest = asked.split_off(2);
    join_all(asked).await;
    let mut reading = rest.remove(0);
    assert!(reading.as_mut().now_or_never().is_none(), "it reads");
    drop(reading);
    for (found, id) in join_all(rest).await.into_iter().zip(&ids[3..]) {
        let found = found.expect("the store answers").expect("it is there");
        assert_eq!(found.message.id, *id);
    }
}

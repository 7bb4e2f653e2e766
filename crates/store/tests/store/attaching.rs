//! Attachments, and several messages in one transaction.

use std::sync::Arc;

use posthaste_domain::{
    clock::Clock,
    id::{AttachmentId, MessageId},
    idempotency::{Answer, Idempotency, Keyed},
    message::{AttachedBytes, Attachment, NewMessage},
    stores::{Accepted, AttachmentStore, Housekeeping, MessageStore},
};
use posthaste_queue::{BootId, Queue, Settlement, Verdict};

use crate::{
    settling::report,
    support::{Bench, message, owner, rows},
};

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

pub(crate) fn with_files(mut message: NewMessage, files: &[&[u8]]) -> NewMessage {
    let file = |(number, bytes): (usize, &&[u8])| Attachment {
        id: AttachmentId::new(message.created_at),
        name: format!("März {number}.pdf").parse().expect("a name"),
        media_type: "application/pdf".parse().expect("a type"),
        content_id: (number == 1).then(|| "logo".parse().expect("a content id")),
        bytes: AttachedBytes::Here(Arc::new(bytes.to_vec())),
    };
    message.attachments = files.iter().enumerate().map(file).collect();
    message
}

/// The same, as it is read back.
fn without_bytes(mut message: NewMessage) -> NewMessage {
    for file in &mut message.attachments {
        file.bytes = AttachedBytes::Stored(file.bytes.size());
    }
    message
}

fn keyed(key: &str, fingerprint: u8) -> Keyed {
    Keyed {
        request: Idempotency {
            route: "POST /emails/batch".into(),
            key: key.parse().expect("a key"),
            fingerprint: [fingerprint; 32],
        },
        answer: Answer {
            status: 200,
            body: "{}".into(),
        },
    }
}

async fn stored(bench: &Bench, id: MessageId) -> Option<NewMessage> {
    let stored = bench.store.message(&owner(), id).await;
    Some(stored.expect("the database answers")?.message)
}

#[tokio::test]
async fn files_are_read_back_byte_for_byte_and_apart_from_their_message() {
    let bench = Bench::new().await;
    let every: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let files: [&[u8]; 3] = [b"", &every, b"\0\\x'\r\n"];
    let message = with_files(bench.message(&["ada@example.com"]), &files);
    let accepted = bench.store.accept(message.clone(), None).await;
    assert_eq!(accepted.expect("stored"), Accepted::Stored);
    let expected = without_bytes(message.clone());
    assert_eq!(stored(&bench, message.id).await, Some(expected.clone()));
    let outgoing = bench.store.outgoing(message.id).await.unwrap().unwrap();
    assert_eq!(outgoing.message, expected);
    for (file, bytes) in message.attachments.iter().zip(files) {
        let read = bench.store.attached(message.id, file.id).await.unwrap();
        assert!(read.as_deref() == Some(bytes), "{} bytes", bytes.len());
    }
    let other = bench.message(&["bob@example.com"]).id;
    let file = message.attachments[1].id;
    assert_eq!(bench.store.attached(other, file).await.unwrap(), None);
}

/// Whoever is second under a key leaves no file behind.
#[tokio::test]
async fn a_repeat_under_a_key_stores_no_files() {
    let bench = Bench::new().await;
    let outside = bench.connect().await;
    for expected in [Accepted::Stored, Accepted::Replayed(keyed("k", 1).answer)] {
        let message = with_files(bench.message(&["ada@example.com"]), &[b"x"]);
        let accepted = bench.store.accept(message, Some(keyed("k", 1))).await;
        assert_eq!(accepted.unwrap(), expected);
    }
    assert_eq!(rows(&outside, "attachments").await, 1);
}

/// P1. All of a batch or nothing of it, whatever the place of the one that cannot be stored.
#[tokio::test]
async fn several_messages_are_stored_together_or_not_at_all() {
    let bench = Bench::new().await;
    let outside = bench.connect().await;
    let make = || {
        let one = bench.message(&["ada@example.com"]);
        with_files(one, &[b"x"])
    };
    let batch = vec![make(), make(), make()];
    let accepted = bench.store.accept_all(batch.clone(), None).await;
    assert_eq!(accepted.unwrap(), Accepted::Stored);
    for message in &batch {
        let expected = without_bytes(message.clone());
        assert_eq!(stored(&bench, message.id).await, Some(expected));
    }
    for guilty in 0..3 {
        let mut broken = vec![make(), make(), make()];
        // Its id is taken.
        broken[guilty].id = batch[0].id;
        bench.store.accept_all(broken, None).await.unwrap_err();
    }
    for (table, count) in [("messages", 3), ("deliveries", 3), ("attachments", 3)] {
        assert_eq!(rows(&outside, table).await, count, "{table}");
    }
    let jobs = bench.claim(BootId::random(), 9).await;
    assert_eq!(jobs.len(), 3, "each has a job of its own");
}

/// R21. One key for a whole batch.
#[tokio::test]
async fn a_batch_is_stored_once_under_its_key() {
    let bench = Bench::new().await;
    let batch = || {
        vec![
            bench.message(&["ada@example.com"]),
            bench.message(&["bob@example.com"]),
        ]
    };
    let accept = async |key: Keyed| bench.store.accept_all(batch(), Some(key)).await.unwrap();
    assert_eq!(accept(keyed("b", 1)).await, Accepted::Stored);
    let answer = keyed("b", 1).answer;
    assert_eq!(accept(keyed("b", 1)).await, Accepted::Replayed(answer));
    assert_eq!(accept(keyed("b", 2)).await, Accepted::KeyReused);
    assert_eq!(bench.claim(BootId::random(), 9).await.len(), 2);
}

/// Files go with the bodies, and no more of them at a time than keeps the writer for a moment.
#[tokio::test]
async fn files_go_with_what_their_message_says() {
    let bench = Bench::new().await;
    let outside = bench.connect().await;
    let now = bench.clock.now();
    let large = vec![7; 33 * 1024 * 1024];
    let mut old = Vec::new();
    for files in [vec![&large[..]], vec![&large[..]], vec![&b"x"[..], b"y"]] {
        let message = with_files(message(now - 100 * DAY, &["ada@example.com"]), &files);
        bench.store.accept(message.clone(), None).await.unwrap();
        let lease = bench.claim(BootId::random(), 1).await.remove(0).lease;
        let state = posthaste_domain::delivery::DeliveryState::Delivered;
        let settlement = Settlement {
            lease,
            verdict: Verdict::Done,
            effects: Some(report(now, &message, state)),
        };
        bench.store.settle([settlement].into()).await.unwrap();
        old.push(message);
    }
    let young = with_files(bench.message(&["ada@example.com"]), &[b"z"]);
    bench.store.accept(young.clone(), None).await.unwrap();
    let mut steps = Vec::new();
    loop {
        match bench.store.prune_bodies(now - DAY, 100).await.unwrap() {
            0 => break,
            removed => steps.push(removed),
        }
    }
    assert_eq!(steps, [1, 2], "two of 33 MiB are too much for one step");
    assert_eq!(rows(&outside, "attachments").await, 1);
    let file = young.attachments[0].id;
    let kept = bench.store.attached(young.id, file).await.unwrap();
    assert_eq!(kept.as_deref(), Some(&b"z"[..]));
    let gone = bench
        .store
        .message(&owner(), old[0].id)
        .await
        .unwrap()
        .unwrap();
    assert!(gone.removed);
    assert_eq!(
        gone.message.attachments.len(),
        1,
        "what it was is still known"
    );
}

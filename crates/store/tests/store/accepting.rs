//! Accepting and reading back.

use std::{sync::Arc, time::Duration};

use posthaste_domain::{
    clock::Clock,
    delivery::DeliveryState,
    message::{AtRest, Content},
    stores::{Accepted, MessageStore, StoreError},
    template::{TemplateRef, TemplateVersionId},
};
use posthaste_queue::{BootId, Queue};
use posthaste_store::StoreConfig;
use tokio::task::JoinSet;

use crate::support::{Bench, Outsider, owner};

#[tokio::test]
async fn a_message_is_read_back_as_it_was_accepted() {
    let bench = Bench::new().await;
    let mut message = bench.message(&["Ada <ada@example.com>", "bob@example.com"]);
    message.recipients.bcc = vec!["eve@example.com".parse().unwrap()];
    assert_eq!(
        bench.store.accept(message.clone(), None).await.unwrap(),
        Accepted::Stored
    );
    let stored = bench
        .store
        .message(&owner(), message.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.message, message);
    assert_eq!(stored.states, [DeliveryState::Queued; 2]);
    let outgoing = bench.store.outgoing(message.id).await.unwrap().unwrap();
    assert_eq!(outgoing.message, message);
    assert_eq!(outgoing.open.len(), 2);
    let deliveries = bench
        .store
        .deliveries(&owner(), message.id)
        .await
        .unwrap()
        .unwrap();
    let recipients: Vec<_> = deliveries
        .iter()
        .map(|delivery| delivery.recipient.expose())
        .collect();
    assert_eq!(recipients, ["ada@example.com", "bob@example.com"]);
}

/// Rows travel as arrays on PostgreSQL and in pieces on SQLite; neither shows in what is stored.
#[tokio::test]
async fn messages_stored_together_keep_their_texts_whatever_stands_in_them() {
    let bench = Bench::new().await;
    let texts = [
        Some(r#"a "quoted" word, a \ and {braces}, NULL"#),
        Some("NULL"),
        Some(""),
        None,
        Some("'; \r\n\té ü 漢 \u{1F4EC} ? $1 ::text"),
        Some(r"\\x00 \n \"),
    ];
    // While an outsider holds the lock, all of them gather into one batch.
    let outsider = Outsider::lock(&bench).await;
    let mut submits = JoinSet::new();
    for number in 0..45 {
        let mut message = bench.message(&["Ada <ada@example.com>"]);
        message.content = Content::Inline {
            subject: format!("Order {number}").parse().unwrap(),
            html: texts[number % texts.len()].map(str::to_owned),
            text: texts[(number + 1) % texts.len()].map(str::to_owned),
        };
        let store = Arc::clone(&bench.store);
        submits.spawn(async move {
            let accepted = store.accept(message.clone(), None).await;
            assert_eq!(accepted.unwrap(), Accepted::Stored);
            message
        });
    }
    outsider.release().await;
    for message in submits.join_all().await {
        let stored = bench.store.message(&owner(), message.id).await.unwrap();
        assert_eq!(stored.unwrap().message, message);
    }
}

#[tokio::test]
async fn a_template_message_keeps_its_version_and_data() {
    let bench = Bench::new().await;
    let mut message = bench.message(&["ada@example.com"]);
    let variables = serde_json::json!({"z": 1, "a": {"nested": [true, null, "\u{0}ü"]}});
    message.content = Content::Template {
        template: TemplateRef {
            name: "receipt".parse().unwrap(),
            version: TemplateVersionId::from_digest(&[7; 32]),
        },
        subject: None,
        variables: variables.as_object().unwrap().clone(),
        at_rest: AtRest::Plain,
    };
    bench.store.accept(message.clone(), None).await.unwrap();
    assert_eq!(
        bench
            .store
            .message(&owner(), message.id)
            .await
            .unwrap()
            .unwrap()
            .message,
        message
    );
}

#[tokio::test]
async fn another_owners_message_is_as_absent_as_none() {
    let bench = Bench::new().await;
    let message = bench.message(&["ada@example.com"]);
    bench.store.accept(message.clone(), None).await.unwrap();
    let stranger = "stranger".parse().unwrap();
    assert_eq!(
        bench.store.message(&stranger, message.id).await.unwrap(),
        None
    );
    assert_eq!(
        bench.store.deliveries(&stranger, message.id).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn many_submits_at_once_are_all_stored() {
    let bench = Bench::new().await;
    let mut submits = JoinSet::new();
    for number in 0..500 {
        let message = bench.message(&[&format!("user{number}@example.com")]);
        let store = Arc::clone(&bench.store);
        submits.spawn(async move { (message.id, store.accept(message, None).await.unwrap()) });
    }
    for (id, answer) in submits.join_all().await {
        assert_eq!(answer, Accepted::Stored);
        assert!(bench.store.message(&owner(), id).await.unwrap().is_some());
    }
    assert!(bench.clock.now() > posthaste_domain::clock::Timestamp::UNIX_EPOCH);
}

/// S11.
#[tokio::test]
async fn sealed_data_is_read_back_and_stands_nowhere_in_the_file() {
    let bench = Bench::new().await;
    let mut message = bench.message(&["ada@example.com"]);
    let variables = serde_json::json!({"link": "https://example.com/?token=canary"});
    message.content = Content::Template {
        template: TemplateRef {
            name: "receipt".parse().unwrap(),
            version: TemplateVersionId::from_digest(&[7; 32]),
        },
        subject: None,
        variables: variables.as_object().unwrap().clone(),
        at_rest: AtRest::Sealed,
    };
    bench.store.accept(message.clone(), None).await.unwrap();
    let outgoing = bench.store.outgoing(message.id).await.unwrap().unwrap();
    assert_eq!(outgoing.message, message);
    let folder = std::fs::read_dir(bench.folder.path()).unwrap();
    for path in folder.map(|entry| entry.unwrap().path()) {
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(6).any(|part| part == b"canary");
        assert!(!found, "{}", path.display());
    }
    // Under another key it does not open, and is told from a message that is not there.
    let other = |config: &mut StoreConfig| config.sealing_key = "00".repeat(32).parse().unwrap();
    let (bench, _) = bench.reopen_with(other).await;
    let unread = bench.store.outgoing(message.id).await;
    assert!(
        matches!(unread, Err(StoreError::Unreadable(_))),
        "{unread:?}"
    );
}

/// What was kept in memory is stored as it is, and its job waits.
#[tokio::test]
async fn a_spilled_message_is_stored_for_its_open_recipients_and_due_after_its_wait() {
    let bench = Bench::new().await;
    let mut message = bench.message(&["ada@example.com", "bob@example.com"]);
    message.deliveries.remove(0);
    let wait = Duration::from_secs(40);
    bench.store.spill(message.clone(), wait).await.unwrap();
    let outgoing = bench.store.outgoing(message.id).await.unwrap().unwrap();
    assert_eq!(outgoing.message, message);
    assert_eq!(outgoing.open.len(), 1);
    assert_eq!(outgoing.open[0].recipient.expose(), "bob@example.com");
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    bench.store.promote().await.unwrap();
    assert!(bench.claim(boot, 9).await.is_empty(), "it is not due yet");
    bench.advance(wait).await;
    bench.store.promote().await.unwrap();
    assert_eq!(bench.claim(boot, 9).await.len(), 1);
    let at_once = bench.message(&["ada@example.com"]);
    bench.store.spill(at_once, Duration::ZERO).await.unwrap();
    assert_eq!(bench.claim(boot, 9).await.len(), 1);
}

//! `POST /emails`: what is taken.

use std::sync::{Arc, Mutex};

use posthaste_domain::{
    message::{Content, NewMessage},
    stores::{Accepted, StoreError},
};
use serde_json::{Value, json};

use crate::desk::{Desk, now};

/// A mail with nothing wrong.
pub(crate) fn mail() -> Value {
    json!({ "from": "Acme <o@acme.com>", "to": "ada@example.com", "subject": "Hi", "text": "Hello" })
}

/// The same with other members.
pub(crate) fn mail_with(members: &Value) -> Value {
    let mut mail = mail();
    for (name, value) in members.as_object().expect("an object") {
        mail[name] = value.clone();
    }
    mail
}

/// An API that stores, and what it stored.
pub(crate) fn storing() -> (Desk, Arc<Mutex<Vec<NewMessage>>>) {
    let stored = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&stored);
    let mut desk = Desk::new();
    desk.messages.expect_accept().returning(move |message, _| {
        kept.lock().expect("not poisoned").push(message);
        Ok(Accepted::Stored)
    });
    (desk, stored)
}

/// What the store got of this body.
pub(crate) async fn stored(body: Value) -> NewMessage {
    let (desk, stored) = storing();
    let reply = desk.api().post("/emails", &body).await.expect(200);
    let message = stored
        .lock()
        .expect("not poisoned")
        .pop()
        .expect("one message");
    assert_eq!(reply.json(), json!({ "id": message.id.to_string() }));
    message
}

/// Nothing reaches the store; the answer names these pointers and no others.
pub(crate) async fn refused(body: Value, expected: &[&str]) {
    let reply = Desk::new().api().post("/emails", &body).await.expect(422);
    assert_eq!(reply.pointers(), expected, "{body} -> {}", reply.body);
}

#[tokio::test]
async fn a_mail_with_every_field_is_stored_as_given() {
    let message = stored(json!({
        "from": { "name": "Acme", "email": "o@acme.com" },
        "to": ["ada@example.com", "Bob <bob@example.com>", { "email": "cy@example.com" }],
        "cc": "dee@example.com",
        "bcc": [{ "name": "Eve", "email": "eve@example.com" }],
        "reply_to": "help@acme.com",
        "subject": "Your order",
        "html": "<b>42</b>",
        "text": "",
        "headers": { "X-Entity-Ref-ID": "42" },
        "tags": [{ "name": "category", "value": "order" }],
        "stream": "otp",
        "metadata": { "order": "42" },
        "expires_at": "2026-12-01T12:00:00.1234567+01:00",
        "attachments": [], "scheduled_at": null, "locale": null, "topic_id": null, "template": null,
    }))
    .await;
    assert_eq!(message.owner.as_str(), "shop");
    assert_eq!(message.stream.as_str(), "otp");
    assert_eq!(
        (message.from.name(), message.from.address().expose()),
        (Some("Acme"), "o@acme.com")
    );
    let envelope: Vec<_> = message
        .deliveries
        .iter()
        .map(|d| d.recipient.expose())
        .collect();
    assert_eq!(
        envelope,
        [
            "ada@example.com",
            "bob@example.com",
            "cy@example.com",
            "dee@example.com",
            "eve@example.com"
        ]
    );
    assert_eq!(message.recipients.to[1].name(), Some("Bob"));
    assert_eq!(message.recipients.bcc.len(), 1);
    assert_eq!(message.reply_to[0].address().expose(), "help@acme.com");
    let Content::Inline {
        subject,
        html,
        text,
    } = &message.content
    else {
        panic!("not given whole");
    };
    assert_eq!(subject.as_str(), "Your order");
    assert_eq!(
        (html.as_deref(), text.as_deref()),
        (Some("<b>42</b>"), Some(""))
    );
    assert_eq!(message.headers[0].value(), "42");
    assert_eq!(message.tags[0].name(), "category");
    assert_eq!(message.metadata["order"], "42");
    assert_eq!(
        message.expires_at.to_rfc3339(),
        "2026-12-01T11:00:00.123456+00:00"
    );
}

#[tokio::test]
async fn null_is_absent() {
    refused(
        mail_with(&json!({ "to": null, "subject": null })),
        &["/to", "/subject"],
    )
    .await;
    stored(mail_with(
        &json!({ "cc": null, "tags": null, "metadata": null, "html": null }),
    ))
    .await;
}

#[tokio::test]
async fn an_empty_subject_is_an_absent_one() {
    refused(mail_with(&json!({ "subject": "" })), &["/subject"]).await;
    refused(mail_with(&json!({ "subject": "  " })), &["/subject"]).await;
}

#[tokio::test]
async fn a_mail_says_something() {
    refused(mail_with(&json!({ "text": "" })), &["/html"]).await;
    refused(mail_with(&json!({ "text": null, "html": "" })), &["/html"]).await;
    refused(mail_with(&json!({ "text": 7 })), &["/text"]).await;
}

#[tokio::test]
async fn an_address_given_twice_gets_the_mail_once() {
    let message = stored(mail_with(
        &json!({ "to": ["ada@example.com", "Ada <ADA@example.com>"] }),
    ))
    .await;
    assert_eq!(message.deliveries.len(), 1);
}

#[tokio::test]
async fn a_time_says_which_one_it_is() {
    for time in [
        "2026-12-01T12:00:00",
        "2026-12-02",
        "in 5 minutes",
        "1796115600",
        "",
    ] {
        refused(mail_with(&json!({ "expires_at": time })), &["/expires_at"]).await;
    }
    refused(
        mail_with(&json!({ "expires_at": 1_796_115_600 })),
        &["/expires_at"],
    )
    .await;
    refused(
        mail_with(&json!({ "expires_at": now().to_rfc3339() })),
        &["/expires_at"],
    )
    .await;
}

#[tokio::test]
async fn trouble_of_the_store_is_told_apart() {
    let check = async |error: fn() -> StoreError, status, name, detail: &str| {
        let mut desk = Desk::new();
        desk.messages
            .expect_accept()
            .returning(move |_, _| Err(error()));
        let reply = desk
            .api()
            .post("/emails", &mail())
            .await
            .expect_problem(status, name);
        let shown = reply.json()["detail"].as_str().expect("text").to_owned();
        assert!(shown.contains(detail), "{shown}");
        assert!(!reply.body.contains("canary"), "{}", reply.body);
        assert_eq!(reply.header("retry-after").is_some(), status == 503);
    };
    check(
        || StoreError::Overloaded,
        503,
        "service_unavailable",
        "nothing was stored",
    )
    .await;
    check(
        || StoreError::Unavailable(Some("canary".into())),
        503,
        "service_unavailable",
        "nothing was stored",
    )
    .await;
    check(
        || StoreError::OutcomeUnknown(Some("canary".into())),
        503,
        "service_unavailable",
        "Idempotency-Key settles it",
    )
    .await;
    check(
        || StoreError::Unreadable("canary".into()),
        500,
        "application_error",
        "request id",
    )
    .await;
}

/// A body is read strictly, whatever the route.
/// What is not on disk is not answered as if it were.
#[tokio::test]
async fn a_mail_in_memory_is_answered_with_202_and_says_so() {
    for (accepted, expected) in [
        (Accepted::InMemory, json!({ "durability": "memory" })),
        (
            Accepted::Dropped,
            json!({ "durability": "memory", "dropped": true }),
        ),
    ] {
        let mut desk = Desk::new();
        desk.messages
            .expect_accept()
            .returning(move |_, _| Ok(accepted.clone()));
        let reply = desk.api().post("/emails", &mail()).await.expect(202);
        let mut answer = reply.json();
        let id = answer["id"].take();
        assert!(id.as_str().is_some_and(|id| id.len() == 36), "{id}");
        answer.as_object_mut().expect("an object").remove("id");
        assert_eq!(answer, expected);
    }
}

//! Idempotency keys on `POST /emails`.

use std::sync::{Arc, Mutex};

use posthaste_domain::{idempotency::Idempotency, stores::Accepted};
use serde_json::{Value, json};

use crate::{
    desk::{Desk, Reply, json as with_json, request},
    submit::{mail, mail_with},
};

async fn send(desk: Desk, key: &str, body: &Value) -> Reply {
    let request = request("POST", "/emails").header("Idempotency-Key", key);
    desk.api().send(with_json(request, body.to_string())).await
}

/// What the store is handed for a submit under a key.
async fn handed(body: &Value) -> Idempotency {
    let seen = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&seen);
    let mut desk = Desk::new();
    desk.messages
        .expect_accept()
        .returning(move |_, idempotency| {
            *kept.lock().expect("not poisoned") = idempotency;
            Ok(Accepted::Stored)
        });
    send(desk, "order-42", body).await.expect(200);
    let seen = seen.lock().expect("not poisoned").take();
    seen.expect("the key is handed on")
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_says_so() {
    let first: posthaste_domain::id::MessageId =
        "01990000-0000-7000-8000-000000000001".parse().unwrap();
    let mut desk = Desk::new();
    desk.messages
        .expect_accept()
        .returning(move |_, _| Ok(Accepted::Replayed(first)));
    let reply = send(desk, "order-42", &mail()).await.expect(200);
    assert_eq!(
        reply.body,
        r#"{"id":"01990000-0000-7000-8000-000000000001"}"#
    );
    assert_eq!(reply.header("idempotency-replayed"), Some("true"));
}

#[tokio::test]
async fn a_first_answer_does_not_say_that_it_is_a_repeat() {
    let mut desk = Desk::new();
    desk.messages
        .expect_accept()
        .returning(|_, _| Ok(Accepted::Stored));
    let reply = send(desk, "order-42", &mail()).await.expect(200);
    assert_eq!(reply.header("idempotency-replayed"), None);
}

#[tokio::test]
async fn a_key_used_for_another_request_is_a_conflict() {
    let mut desk = Desk::new();
    desk.messages
        .expect_accept()
        .returning(|_, _| Ok(Accepted::KeyReused));
    send(desk, "order-42", &mail())
        .await
        .expect_problem(409, "invalid_idempotent_request");
}

#[tokio::test]
async fn a_key_is_visible_ascii_of_bounded_length_and_given_once() {
    for key in ["", "a b", "é", &"k".repeat(257)] {
        send(Desk::new(), key, &mail())
            .await
            .expect_problem(400, "invalid_idempotency_key");
    }
    let twice = request("POST", "/emails")
        .header("Idempotency-Key", "a")
        .header("Idempotency-Key", "b");
    let reply = Desk::new()
        .api()
        .send(with_json(twice, mail().to_string()))
        .await;
    reply.expect_problem(400, "invalid_idempotency_key");
    let mut desk = Desk::new();
    desk.messages
        .expect_accept()
        .returning(|_, _| Ok(Accepted::Stored));
    send(desk, &"k".repeat(256), &mail()).await.expect(200);
}

#[tokio::test]
async fn spelling_does_not_make_another_request() {
    let first = handed(&mail()).await;
    assert_eq!(
        (first.route.as_str(), first.key.as_str()),
        ("POST /emails", "order-42")
    );
    for same in [
        mail_with(&json!({ "to": ["ada@example.com"], "cc": null, "tags": [] })),
        mail_with(
            &json!({ "from": { "name": "Acme", "email": "o@ACME.com" }, "stream": "transactional" }),
        ),
    ] {
        assert_eq!(handed(&same).await.fingerprint, first.fingerprint, "{same}");
    }
}

#[tokio::test]
async fn every_field_makes_another_request() {
    let first = handed(&mail()).await;
    for other in [
        json!({ "from": "o@acme.com" }),
        json!({ "from": "Acme <p@acme.com>" }),
        json!({ "to": "bob@example.com" }),
        json!({ "cc": "bob@example.com" }),
        json!({ "bcc": "bob@example.com" }),
        json!({ "reply_to": "bob@example.com" }),
        json!({ "subject": "Ho" }),
        json!({ "text": "Hello!" }),
        json!({ "html": "Hello" }),
        json!({ "headers": { "X-A": "1" } }),
        json!({ "tags": [{ "name": "a", "value": "b" }] }),
        json!({ "metadata": { "a": "b" } }),
        json!({ "stream": "otp" }),
        json!({ "expires_at": "2026-12-02T00:00:00Z" }),
    ] {
        assert_ne!(
            handed(&mail_with(&other)).await.fingerprint,
            first.fingerprint,
            "{other}"
        );
    }
}

#[tokio::test]
async fn parts_do_not_run_into_each_other() {
    let one = handed(&mail_with(&json!({ "metadata": { "a": "b", "c": "d" } }))).await;
    let two = handed(&mail_with(
        &json!({ "metadata": { "a": "bmetadata:cvalue:d" } }),
    ))
    .await;
    assert_ne!(one.fingerprint, two.fingerprint);
}

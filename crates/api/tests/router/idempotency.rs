//! Idempotency keys on `POST /emails`.

use std::sync::{Arc, Mutex};

use posthaste_domain::{
    idempotency::{Answer, Idempotency, Keyed},
    stores::Accepted,
};
use serde_json::{Value, json};

use crate::{
    desk::{Desk, Reply, json as with_json, request},
    submit::{mail, mail_with},
};

async fn send(desk: Desk, key: &str, body: &Value) -> Reply {
    let request = request("POST", "/emails").header("Idempotency-Key", key);
    desk.api().send(with_json(request, body.to_string())).await
}

/// What the store is handed for a submit under a key, and what the submitter is told.
async fn handed(body: &Value) -> (Keyed, Reply) {
    let seen = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&seen);
    let mut desk = Desk::new();
    desk.messages.expect_accept().returning(move |_, keyed| {
        *kept.lock().expect("not poisoned") = keyed;
        Ok(Accepted::Stored)
    });
    let reply = send(desk, "order-42", body).await.expect(200);
    let seen = seen.lock().expect("not poisoned").take();
    (seen.expect("the key is handed on"), reply)
}

/// The request that the store is handed.
async fn asked(body: &Value) -> Idempotency {
    handed(body).await.0.request
}

/// An answer as no release gives it: only the stored one can be it.
fn kept() -> Answer {
    Answer {
        status: 202,
        body: "{ \"id\" : \"first\" }\n".into(),
    }
}

#[track_caller]
fn is_the_kept_answer(reply: &Reply) {
    assert_eq!(reply.status.as_u16(), 202);
    assert_eq!(reply.body, kept().body);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("idempotency-replayed"), Some("true"));
}

/// R21. Status and body byte for byte.
#[tokio::test]
async fn a_repeat_gets_the_stored_answer_and_says_so() {
    let mut desk = Desk::new();
    desk.messages
        .expect_accept()
        .returning(|_, _| Ok(Accepted::Replayed(kept())));
    is_the_kept_answer(&send(desk, "order-42", &mail()).await);
}

#[tokio::test]
async fn what_is_answered_is_what_is_kept() {
    let (keyed, reply) = handed(&mail()).await;
    assert_eq!(
        (keyed.answer.status, keyed.answer.body),
        (reply.status.as_u16(), reply.body)
    );
}

/// A mail that was accepted and is repeated when its time is over, or when its template is gone.
#[tokio::test]
async fn a_repeat_that_could_not_be_accepted_any_more_gets_the_stored_answer() {
    let stale = mail_with(&json!({ "expires_at": "2026-12-01T08:59:59Z" }));
    let mut desk = Desk::new();
    desk.messages.expect_answered().returning(|owner, request| {
        assert_eq!((owner.as_str(), request.key.as_str()), ("shop", "order-42"));
        Ok(Some(kept()))
    });
    is_the_kept_answer(&send(desk, "order-42", &stale).await);
    // The first one under its key is told what is wrong with it.
    let mut desk = Desk::new();
    desk.messages.expect_answered().returning(|_, _| Ok(None));
    let reply = send(desk, "order-42", &stale).await;
    let reply = reply.expect_problem(422, "validation_error");
    assert_eq!(reply.pointers(), ["/expires_at"]);
}

/// R21.
#[tokio::test]
async fn a_request_that_meets_the_first_one_still_running_is_to_come_again() {
    let mut desk = Desk::new();
    desk.messages
        .expect_accept()
        .returning(|_, _| Ok(Accepted::InProgress));
    let reply = send(desk, "order-42", &mail()).await;
    let reply = reply.expect_problem(409, "concurrent_idempotent_requests");
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(reply.header("idempotency-replayed"), None);
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
    let first = asked(&mail()).await;
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
        assert_eq!(asked(&same).await.fingerprint, first.fingerprint, "{same}");
    }
}

#[tokio::test]
async fn every_field_makes_another_request() {
    let file = |name: &str, content: &str, id: Option<&str>| json!({ "attachments": [{ "filename": name, "content": content, "content_id": id }] });
    let mut seen = vec![(json!({}), asked(&mail()).await.fingerprint)];
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
        json!({ "scheduled_at": "2026-12-02T00:00:00Z" }),
        json!({ "scheduled_at": "in 1 h" }),
        json!({ "scheduled_at": "in 2 h" }),
        file("a.txt", "eA==", None),
        file("a.txt", "eQ==", None),
        file("b.txt", "eA==", None),
        file("a.pdf", "eA==", None),
        file("a.txt", "eA==", Some("a")),
    ] {
        let fingerprint = asked(&mail_with(&other)).await.fingerprint;
        let same = seen.iter().find(|(_, before)| *before == fingerprint);
        assert_eq!(same, None, "{other}");
        seen.push((other, fingerprint));
    }
}

#[tokio::test]
async fn parts_do_not_run_into_each_other() {
    let one = asked(&mail_with(&json!({ "metadata": { "a": "b", "c": "d" } }))).await;
    let two = asked(&mail_with(
        &json!({ "metadata": { "a": "bmetadata:cvalue:d" } }),
    ))
    .await;
    assert_ne!(one.fingerprint, two.fingerprint);
}

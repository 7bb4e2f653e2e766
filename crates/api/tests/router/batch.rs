//! `POST /emails/batch`.

use std::sync::{Arc, Mutex};

use posthaste_domain::{idempotency::Answer, message::NewMessage, stores::Accepted};
use serde_json::{Value, json};

use crate::{
    desk::{Desk, Reply, json as with_json, request},
    submit::{mail, mail_with},
};

/// An API that stores batches, and what it stored.
fn storing() -> (Desk, Arc<Mutex<Vec<Vec<NewMessage>>>>) {
    let stored = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&stored);
    let mut desk = Desk::new();
    desk.messages
        .expect_accept_all()
        .returning(move |messages, _| {
            kept.lock().expect("not poisoned").push(messages);
            Ok(Accepted::Stored)
        });
    (desk, stored)
}

async fn send(desk: Desk, mode: Option<&str>, body: &Value) -> Reply {
    let mut request = request("POST", "/emails/batch");
    if let Some(mode) = mode {
        request = request.header("x-batch-validation", mode);
    }
    desk.api().send(with_json(request, body.to_string())).await
}

fn bad() -> Value {
    mail_with(&json!({ "to": ["ada", "ada@example.com"], "subject": null }))
}

#[tokio::test]
async fn a_batch_is_stored_in_one_go_and_answered_in_its_order() {
    for mode in [None, Some("strict")] {
        let (desk, stored) = storing();
        let second = mail_with(&json!({ "to": "bob@example.com" }));
        let reply = send(desk, mode, &json!([mail(), second])).await.expect(200);
        let stored = stored.lock().expect("not poisoned").pop().expect("a batch");
        let ids: Vec<_> = stored
            .iter()
            .map(|message| json!({ "id": message.id.to_string() }))
            .collect();
        assert_eq!(reply.json(), json!({ "data": ids }));
        let to = |message: &NewMessage| message.deliveries[0].recipient.expose().to_owned();
        assert_eq!(to(&stored[1]), "bob@example.com");
    }
}

#[tokio::test]
async fn one_that_cannot_be_taken_refuses_all_and_each_fault_has_its_pointer() {
    let body = json!([
        mail(),
        bad(),
        7,
        mail_with(&json!({ "expires_at": "2020-01-01T00:00:00Z" }))
    ]);
    let reply = send(Desk::new(), None, &body).await;
    let reply = reply.expect_problem(422, "validation_error");
    assert_eq!(
        reply.pointers(),
        ["/1/to/0", "/1/subject", "/2", "/3/expires_at"]
    );
    let message = reply.json()["message"].as_str().expect("text").to_owned();
    assert!(
        message.starts_with("`[1].to[0]`: ") && message.ends_with("(and 3 more)"),
        "{message}"
    );
}

/// What the reader of JSON finds belongs to the item in which it stands.
#[tokio::test]
async fn a_permissive_batch_takes_what_can_be_taken() {
    let (desk, stored) = storing();
    let text = json!([bad(), mail(), mail(), mail()]).to_string();
    let twice = text.replacen("\"text\":", "\"text\":\"y\",\"text\":", 3);
    let twice = twice.replacen("\"text\":\"y\",\"text\":", "\"text\":", 2);
    let request = request("POST", "/emails/batch").header("x-batch-validation", "permissive");
    let reply = desk.api().send(with_json(request, twice)).await.expect(200);
    let stored = stored.lock().expect("not poisoned").pop().expect("a batch");
    let answer = reply.json();
    let ids: Vec<_> = stored
        .iter()
        .map(|message| json!({ "id": message.id.to_string() }))
        .collect();
    assert_eq!(answer["data"], json!(ids));
    assert_eq!(ids.len(), 2);
    let errors = answer["errors"].as_array().expect("a list");
    assert_eq!(
        (&errors[0]["index"], &errors[1]["index"]),
        (&json!(0), &json!(2))
    );
    let first = errors[0]["message"].as_str().expect("text");
    assert!(first.starts_with("`to[0]`: "), "{first}");
    assert_eq!(errors[1]["message"], "`text`: given twice");
}

#[tokio::test]
async fn a_permissive_batch_of_which_nothing_can_be_taken_stores_nothing() {
    let reply = send(Desk::new(), Some("permissive"), &json!([bad()])).await;
    let answer = reply.expect(200).json();
    assert_eq!(answer["data"], json!([]));
    assert_eq!(answer["errors"].as_array().expect("a list").len(), 1);
    let (desk, _) = storing();
    let reply = send(desk, Some("permissive"), &json!([mail()])).await;
    assert_eq!(reply.expect(200).json()["errors"], json!([]));
}

#[tokio::test]
async fn a_batch_is_a_list_of_1_to_100_under_a_mode_that_there_is() {
    for body in [json!([]), mail(), json!(vec![mail(); 101])] {
        let reply = send(Desk::new(), None, &body).await;
        assert_eq!(reply.expect(422).pointers(), [""]);
    }
    let (desk, _) = storing();
    send(desk, None, &json!(vec![mail(); 100]))
        .await
        .expect(200);
    let reply = send(Desk::new(), Some("loose"), &json!([mail()])).await;
    reply.expect_problem(422, "invalid_parameter");
}

/// R21. The key stands for these mails in this order, under this mode.
#[tokio::test]
async fn a_batch_under_a_key_is_told_from_any_other() {
    let asked = async |mode: &'static str, body: Value| {
        let seen = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&seen);
        let mut desk = Desk::new();
        desk.messages
            .expect_accept_all()
            .returning(move |_, keyed| {
                *kept.lock().expect("not poisoned") = keyed;
                Ok(Accepted::Stored)
            });
        let request = request("POST", "/emails/batch")
            .header("Idempotency-Key", "k")
            .header("x-batch-validation", mode);
        let reply = desk.api().send(with_json(request, body.to_string())).await;
        let body = reply.expect(200).body;
        let keyed = seen.lock().expect("not poisoned").take().expect("a key");
        assert_eq!(keyed.answer, Answer { status: 200, body });
        assert_eq!(keyed.request.route, "POST /emails/batch");
        keyed.request.fingerprint
    };
    let other = mail_with(&json!({ "to": "bob@example.com" }));
    let first = asked("strict", json!([mail(), other])).await;
    let spelled = mail_with(&json!({ "cc": null }));
    assert_eq!(asked("strict", json!([spelled, other])).await, first);
    for (mode, body) in [
        ("permissive", json!([mail(), other])),
        ("strict", json!([other, mail()])),
        ("strict", json!([mail()])),
        ("permissive", json!([mail(), other, bad()])),
    ] {
        assert_ne!(asked(mode, body).await, first);
    }
    let with_bad = asked("permissive", json!([mail(), bad()])).await;
    let worse = mail_with(&json!({ "to": "eve" }));
    assert_ne!(asked("permissive", json!([mail(), worse])).await, with_bad);
}

/// A batch that was accepted is answered again when its time is over.
#[tokio::test]
async fn a_repeat_that_could_not_be_accepted_any_more_gets_its_answer() {
    let stale = mail_with(&json!({ "expires_at": "2026-12-01T08:59:59Z" }));
    let mut desk = Desk::new();
    desk.messages.expect_answered().returning(|_, _| {
        let body = "{\"data\":[]}".to_owned();
        Ok(Some(Answer { status: 200, body }))
    });
    let request = request("POST", "/emails/batch").header("Idempotency-Key", "k");
    let body = json!([mail(), stale]).to_string();
    let reply = desk.api().send(with_json(request, body)).await.expect(200);
    assert_eq!(reply.header("idempotency-replayed"), Some("true"));
    assert_eq!(reply.body, "{\"data\":[]}");
}

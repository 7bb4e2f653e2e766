//! `POST /emails`: what is taken, and every way in which it is refused.

use std::sync::{Arc, Mutex};

use posthaste_domain::{
    message::{Content, NewMessage},
    stores::{Accepted, StoreError},
    template::{PinError, VariableProblem},
};
use serde_json::{Value, json};

use crate::desk::{Api, Desk, now, pinned};

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

async fn stored(body: Value) -> NewMessage {
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
async fn every_bad_field_is_named_at_once() {
    let mut desk = Desk::new();
    desk.templates.expect_pin().returning(|_, _| {
        Err(PinError::Variables(vec![
            VariableProblem {
                name: "name".into(),
                detail: "required".into(),
                missing: true,
            },
            VariableProblem {
                name: "a/b".into(),
                detail: "expected a number".into(),
                missing: false,
            },
        ]))
    });
    let body = json!({
        "from": { "name": "Acme", "email": "nobody" },
        "to": ["ada@example.com", "ada", 7],
        "cc": "x@y..z",
        "bcc": [null],
        "reply_to": {},
        "subject": "a\r\nBcc: eve@example.com",
        "html": "<b>",
        "template": { "id": "welcome", "variables": {}, "version": 1 },
        "headers": { "Bcc": "eve@example.com", "X-A": "1\r\nBcc: eve@example.com", "X-B": 1 },
        "tags": [{ "name": "a b", "value": "c" }, { "name": "a" }, "x"],
        "stream": "bulk",
        "metadata": { "": "x", "k": 1 },
        "expires_at": "tomorrow",
        "scheduled_at": "in 1 h",
        "attachments": [{ "filename": "a.txt", "content": "aGk=" }],
        "locale": "de",
        "topic_id": "t",
        "scheduled_At": "in 1 h",
    });
    let reply = desk
        .api()
        .post("/emails", &body)
        .await
        .expect_problem(422, "validation_error");
    let expected = [
        "/from/email",
        "/to/1",
        "/to/2",
        "/cc",
        "/bcc/0",
        "/reply_to/email",
        "/subject",
        "/html",
        "/template/version",
        "/attachments",
        "/headers/Bcc",
        "/headers/X-A",
        "/headers/X-B",
        "/tags/0",
        "/tags/1/value",
        "/tags/2",
        "/metadata/",
        "/metadata/k",
        "/expires_at",
        "/scheduled_at",
        "/locale",
        "/topic_id",
        "/scheduled_At",
        "/stream",
        "/template/variables/name",
        "/template/variables/a~1b",
    ];
    assert_eq!(reply.pointers(), expected, "{}", reply.body);
    let problem = reply.json();
    assert_eq!(problem["detail"], "26 fields are invalid");
    assert_eq!(problem["message"], "`from.email`: missing @ (and 25 more)");
    assert!(
        !reply.body.contains("eve@example.com"),
        "no value is repeated"
    );
}

#[tokio::test]
async fn fields_that_are_only_missing_have_a_name_of_their_own() {
    let reply = Desk::new().api().post("/emails", &json!({})).await;
    let reply = reply.expect_problem(422, "missing_required_field");
    assert_eq!(reply.pointers(), ["/to", "/html", "/subject", "/from"]);
    assert_eq!(reply.json()["message"], "`to`: required (and 3 more)");
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
async fn at_most_fifty_recipients() {
    let many =
        |count: usize| -> Vec<String> { (0..count).map(|n| format!("r{n}@example.com")).collect() };
    refused(mail_with(&json!({ "to": [] })), &["/to"]).await;
    refused(
        mail_with(&json!({ "to": many(30), "cc": many(20), "bcc": many(1) })),
        &["/to"],
    )
    .await;
    assert_eq!(
        stored(mail_with(&json!({ "to": many(50) })))
            .await
            .deliveries
            .len(),
        50
    );
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
async fn one_sender_and_no_list_of_them() {
    refused(mail_with(&json!({ "from": ["o@acme.com"] })), &["/from"]).await;
    refused(
        mail_with(&json!({ "from": { "email": "o@acme.com", "mail": 1 } })),
        &["/from/mail"],
    )
    .await;
    refused(
        mail_with(&json!({ "from": { "email": "o@acme.com", "name": "a\nb" } })),
        &["/from/name"],
    )
    .await;
}

#[tokio::test]
async fn line_breaks_reach_no_header() {
    for evil in [
        "x\r\nBcc: eve@example.com",
        "x\nBcc: eve@example.com",
        "x\rB",
        "x\u{2028}B",
        "x\u{0}B",
    ] {
        let name = format!("{evil} <ada@example.com>");
        // The character U+0000 is refused wherever it stands, so it may be named twice.
        for (field, pointer) in [
            ("subject", "/subject"),
            ("to", "/to"),
            ("from", "/from"),
            ("reply_to", "/reply_to"),
        ] {
            let value = if field == "subject" { evil } else { &name };
            let reply = Desk::new()
                .api()
                .post("/emails", &mail_with(&json!({ field: value })))
                .await;
            assert!(
                reply.expect(422).pointers().iter().all(|at| at == pointer),
                "{field} {evil:?}"
            );
        }
    }
}

#[tokio::test]
async fn bounded_lists_are_bounded() {
    let tags: Vec<_> = (0..51)
        .map(|n| json!({ "name": format!("t{n}"), "value": "v" }))
        .collect();
    let entries = |count: usize| -> Value {
        (0..count)
            .map(|n| (format!("X-{n}"), json!("v")))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    refused(mail_with(&json!({ "tags": tags })), &["/tags"]).await;
    refused(mail_with(&json!({ "headers": entries(51) })), &["/headers"]).await;
    refused(
        mail_with(&json!({ "metadata": entries(21) })),
        &["/metadata"],
    )
    .await;
    refused(
        mail_with(&json!({ "metadata": { "k": "v".repeat(513) } })),
        &["/metadata/k"],
    )
    .await;
    refused(
        mail_with(&json!({ "metadata": { "k".repeat(65): "v" } })),
        &[&format!("/metadata/{}", "k".repeat(65))],
    )
    .await;
    let large = json!({ "id": "welcome", "variables": { "x": "v".repeat(64 * 1024) } });
    let mut desk = Desk::new();
    desk.templates
        .expect_pin()
        .returning(|name, _| Ok(pinned(name.as_str())));
    let body = json!({ "from": "o@acme.com", "to": "ada@example.com", "template": large });
    let reply = desk.api().post("/emails", &body).await.expect(422);
    assert_eq!(reply.pointers(), ["/template/variables"]);
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
async fn a_document_that_is_no_object_is_refused() {
    for document in [json!([]), json!("x"), json!(7), json!(null)] {
        let reply = Desk::new().api().post("/emails", &document).await;
        let reply = reply.expect_problem(422, "validation_error");
        assert_eq!(reply.pointers()[0], "");
    }
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
#[tokio::test]
async fn members_given_twice_and_null_characters_are_refused() {
    let api: Api = Desk::new().api();
    let body = r#"{"from":"o@acme.com","to":"ada@example.com","to":"eve@example.com","subject":"x","text":"a\u0000b"}"#;
    let request = crate::desk::json(crate::desk::request("POST", "/emails"), body);
    let reply = api
        .send(request)
        .await
        .expect_problem(422, "validation_error");
    assert_eq!(reply.pointers(), ["/to", "/text"]);
}

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

//! `POST /emails`: what is refused for what it says, each fault by its place.

use posthaste_domain::template::{PinError, VariableProblem};
use serde_json::{Value, json};

use crate::{
    desk::{Api, Desk, pinned},
    submit::{mail_with, refused, stored},
};

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
        "scheduled_at": "tomorrow at 9am",
        "attachments": [{ "filename": "a.txt", "content": "?" }],
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
        "/attachments/0/content",
        "/from/email",
        "/to/1",
        "/to/2",
        "/cc",
        "/bcc/0",
        "/reply_to/email",
        "/subject",
        "/html",
        "/template/version",
        "/headers/Bcc",
        "/headers/X-A",
        "/headers/X-B",
        "/tags/0",
        "/tags/1/value",
        "/tags/2",
        "/metadata/",
        "/metadata/k",
        "/scheduled_at",
        "/expires_at",
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
    assert_eq!(
        problem["message"],
        "`attachments[0].content`: this is not base64 (and 25 more)"
    );
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
async fn ways_out_of_a_list_that_nobody_could_take_are_refused() {
    for (name, value) in [
        ("list-unsubscribe", "https://a.example/u"),
        ("List-Unsubscribe", "<http://a.example/u>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("List-Unsubscribe-Post", "yes"),
    ] {
        let mail = mail_with(&json!({ "headers": { name: value, "X-A": "b" } }));
        refused(mail, &[&format!("/headers/{name}")]).await;
    }
    let message = stored(mail_with(&json!({ "headers": {
        "List-Unsubscribe": "<mailto:out@a.example>, <https://a.example/u?t=1>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    } })))
    .await;
    assert_eq!(message.headers.len(), 2);
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
async fn a_document_that_is_no_object_is_refused() {
    for document in [json!([]), json!("x"), json!(7), json!(null)] {
        let reply = Desk::new().api().post("/emails", &document).await;
        let reply = reply.expect_problem(422, "validation_error");
        assert_eq!(reply.pointers()[0], "");
    }
}

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

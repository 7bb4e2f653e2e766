//! `GET /emails/{id}` and its deliveries.

use std::time::Duration;

use axum::{body::Body, http::Request};
use posthaste_domain::{
    delivery::{AttemptRun, BodyHash, Class, DeliveryState, Reply, Stage},
    id::{DeliveryId, MessageId},
    message::{AtRest, Content, ExtraHeader, InternetMessageId, NewMessage, Recipients, Tag},
    stores::{StoreError, StoredAttempt, StoredDelivery, StoredMessage},
};
use serde_json::{Value, json};

use crate::desk::{Desk, READ_KEY, now, pinned, request};

pub(crate) const ID: &str = "01990000-0000-7000-8000-000000000001";

fn message() -> NewMessage {
    let id: MessageId = ID.parse().expect("an id");
    let from = "Acme <o@acme.com>"
        .parse::<posthaste_domain::address::Mailbox>()
        .expect("a mailbox");
    NewMessage {
        id,
        owner: "shop".parse().expect("an owner"),
        stream: "transactional".parse().expect("a stream's name"),
        message_id: InternetMessageId::of(id, from.address()),
        from,
        recipients: Recipients::one("ada@example.com".parse().expect("a mailbox")),
        reply_to: Vec::new(),
        content: Content::Inline {
            subject: "Hi".parse().expect("a subject"),
            html: None,
            text: Some("Hello".into()),
        },
        attachments: Vec::new(),
        headers: vec![ExtraHeader::new("X-A", "1").expect("a header")],
        tags: Vec::new(),
        metadata: [("order".into(), "42".into())].into(),
        created_at: now(),
        scheduled_at: None,
        expires_at: now() + Duration::from_secs(86_400),
        deliveries: Vec::new(),
    }
}

/// The message as it is read back, with deliveries in these states.
pub(crate) fn stored(states: Vec<DeliveryState>, leased: bool) -> StoredMessage {
    StoredMessage {
        removed: false,
        message: message(),
        leased,
        scheduled: false,
        states,
    }
}

fn attempt(stage: Stage, class: Class, stale: bool) -> StoredAttempt {
    StoredAttempt {
        run: AttemptRun {
            started_at: now(),
            duration: Duration::from_millis(120),
            transport: "relay".into(),
            remote: Some("mx.example.com:25".into()),
            body_hash: Some(BodyHash([1; 32])),
            transcript: Some("     0 C EHLO localhost\n".into()),
        },
        reply: Reply::new(stage, class, "no such user").with_code(550, "5.1.1".parse().ok()),
        stale,
    }
}

fn delivery(state: DeliveryState, attempts: Vec<StoredAttempt>) -> StoredDelivery {
    StoredDelivery {
        id: DeliveryId::new(now()),
        recipient: "ada@example.com".parse().expect("an address"),
        state,
        tries: u32::try_from(attempts.len()).expect("few attempts"),
        next_attempt_at: None,
        attempts,
    }
}

async fn shown(
    message: NewMessage,
    states: Vec<DeliveryState>,
    deliveries: Vec<StoredDelivery>,
) -> Value {
    let mut desk = Desk::new();
    let stored = StoredMessage {
        removed: false,
        message,
        leased: false,
        scheduled: false,
        states,
    };
    desk.messages
        .expect_message()
        .return_once(|_, _| Ok(Some(stored)));
    desk.messages
        .expect_deliveries()
        .return_once(|_, _| Ok(Some(deliveries)));
    desk.api()
        .get(&format!("/emails/{ID}"))
        .await
        .expect(200)
        .json()
}

#[tokio::test]
async fn a_message_shows_every_member() {
    let expected = json!({
        "object": "email", "id": ID, "message_id": format!("<{ID}@acme.com>"),
        "from": "Acme <o@acme.com>", "to": ["ada@example.com"], "cc": null, "bcc": null, "reply_to": null,
        "subject": "Hi", "html": null, "text": "Hello",
        "created_at": "2026-12-01T09:00:00.000Z", "scheduled_at": null, "last_event": "delivered",
        "tags": [], "status": "delivered", "stream": "transactional", "metadata": { "order": "42" },
        "expires_at": "2026-12-02T09:00:00.000Z", "locale": null, "template": null,
    });
    assert_eq!(
        shown(message(), vec![DeliveryState::Delivered], Vec::new()).await,
        expected
    );
}

#[tokio::test]
async fn a_message_by_a_template_names_its_version() {
    let mut message = message();
    message.content = Content::Template {
        template: pinned("welcome").reference,
        subject: None,
        variables: Default::default(),
        at_rest: AtRest::Plain,
    };
    message.tags = vec![Tag::new("category", "order").unwrap()];
    let shown = shown(message, vec![DeliveryState::Queued], Vec::new()).await;
    assert_eq!(shown["template"]["id"], "welcome");
    assert!(
        shown["template"]["version"]
            .as_str()
            .unwrap()
            .starts_with("sha256:0707")
    );
    assert_eq!(
        (&shown["subject"], &shown["html"]),
        (&json!(""), &Value::Null)
    );
    assert_eq!(
        shown["tags"],
        json!([{ "name": "category", "value": "order" }])
    );
}

#[tokio::test]
async fn each_status_has_its_word_for_the_published_clients() {
    use DeliveryState::{Deferred, Delivered, Expired, Failed, Queued};
    let check = async |states: &[DeliveryState], deliveries, status: &str, event: &str| {
        let shown = shown(message(), states.to_vec(), deliveries).await;
        assert_eq!(
            (&shown["status"], &shown["last_event"]),
            (&json!(status), &json!(event))
        );
    };
    check(&[Queued], Vec::new(), "queued", "queued").await;
    check(&[Deferred], Vec::new(), "deferred", "delivery_delayed").await;
    check(&[Delivered, Failed], Vec::new(), "partial", "bounced").await;
    check(&[Expired], Vec::new(), "expired", "failed").await;
    let refused = attempt(Stage::Rcpt, Class::Permanent, false);
    let broken = attempt(Stage::Render, Class::Permanent, false);
    let stale = attempt(Stage::Rcpt, Class::Permanent, true);
    check(
        &[Failed],
        vec![delivery(Failed, vec![refused.clone()])],
        "failed",
        "bounced",
    )
    .await;
    check(
        &[Failed],
        vec![delivery(Failed, vec![broken.clone()])],
        "failed",
        "failed",
    )
    .await;
    check(
        &[Failed],
        vec![delivery(Failed, vec![broken, stale])],
        "failed",
        "failed",
    )
    .await;
}

#[tokio::test]
async fn deliveries_show_each_attempt_and_the_reply() {
    let mut desk = Desk::new();
    let mut waiting = delivery(
        DeliveryState::Deferred,
        vec![
            attempt(Stage::Dot, Class::Transient, false),
            attempt(Stage::Rcpt, Class::Transient, true),
        ],
    );
    waiting.next_attempt_at = Some(now() + Duration::from_secs(30));
    let id = waiting.id.to_string();
    desk.messages
        .expect_deliveries()
        .returning(move |_, _| Ok(Some(vec![waiting.clone()])));
    let api = desk.api();
    let path = format!("/emails/{ID}/deliveries");
    let reply = api.get(&path).await.expect(200);
    let attempt = |stage: &str, stale: bool| {
        json!({
            "at": "2026-12-01T09:00:00.000Z", "duration_ms": 120, "transport": "relay",
            "remote": "mx.example.com:25", "stage": stage, "class": "transient", "code": 550,
            "enhanced_code": "5.1.1", "text": "no such user", "body_sha256": "01".repeat(32), "stale": stale,
            "transcript": "     0 C EHLO localhost\n",
        })
    };
    let expected = json!({ "object": "list", "data": [{
        "id": id, "recipient": "ada@example.com", "status": "deferred", "tries": 2,
        "next_attempt_at": "2026-12-01T09:00:30.000Z", "code": 550, "enhanced_code": "5.1.1",
        "text": "no such user", "stage": "dot", "attempts": [attempt("dot", false), attempt("rcpt", true)],
    }] });
    assert_eq!(reply.json(), expected);
    // The conversation with a server holds every recipient: it is for operators.
    let reader = Request::builder().uri(&path);
    let reader = reader.header("Authorization", format!("Bearer {READ_KEY}"));
    let reader = reader.body(Body::empty()).expect("a request");
    let shown = api.send(reader).await.expect(200).json();
    let attempt = &shown["data"][0]["attempts"][0];
    assert_eq!(attempt["text"], "no such user");
    assert!(attempt.get("transcript").is_none(), "{attempt}");
}

#[tokio::test]
async fn a_foreign_a_missing_and_a_senseless_id_look_alike() {
    let mut bodies = Vec::new();
    for id in [ID, "01990000-0000-7000-8000-00000000ffff", "42", "%ff"] {
        for rest in ["", "/deliveries"] {
            let mut desk = Desk::new();
            // The store answers for another owner's message as for none.
            desk.messages.expect_message().returning(|_, _| Ok(None));
            desk.messages.expect_deliveries().returning(|_, _| Ok(None));
            let request =
                request("GET", &format!("/emails/{id}{rest}")).header("X-Request-Id", "r");
            let reply = desk.api().send(request.body(Body::empty()).unwrap()).await;
            let mut problem = reply.expect_problem(404, "not_found").json();
            problem["instance"] = Value::Null;
            bodies.push(problem);
        }
    }
    assert!(
        bodies.windows(2).all(|pair| pair[0] == pair[1]),
        "{bodies:?}"
    );
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_no_missing_message() {
    let mut desk = Desk::new();
    desk.messages
        .expect_message()
        .returning(|_, _| Err(StoreError::Unavailable(None)));
    let reply = desk.api().get(&format!("/emails/{ID}")).await;
    reply.expect_problem(503, "service_unavailable");
}

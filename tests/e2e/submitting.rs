//! Submitting mail over the API.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{desk::Desk, eventually::eventually, http::Client};

const SECOND: Duration = Duration::from_secs(1);

fn status(client: &Client, id: &str) -> String {
    client.get(&format!("/emails/{id}")).expect(200).json()["status"]
        .as_str()
        .expect("a status")
        .to_owned()
}

/// S4. Hidden recipients stay hidden.
#[test]
fn a_mail_of_given_html_or_of_a_template_arrives_and_tells_its_story() {
    let desk = Desk::new();
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let plain = json!({"from": "App <app@example.com>", "to": "ada@example.com", "bcc": ["eve@example.com"],
        "subject": "hi", "html": "<b>it works</b>", "metadata": {"order": "42"}});
    let notice = json!({"from": "app@example.com", "to": "bob@example.com",
        "template": {"id": "notice", "variables": {"title": "Export ready", "message": "a < b"}}});
    for (body, to, subject) in [
        (plain, "ada@example.com", "hi"),
        (notice, "bob@example.com", "Export ready"),
    ] {
        let id = client.post("/emails", &body).expect(200).json()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let letter = desk.outbox().await_letter(to, 5 * SECOND);
        assert_eq!(letter.subject, subject);
        assert!(
            !String::from_utf8_lossy(&letter.raw).contains("eve@"),
            "hidden recipients stay hidden"
        );
        eventually("the outcome is recorded", 5 * SECOND, || {
            (status(&client, &id) == "delivered").then_some(())
        });
        let deliveries = client
            .get(&format!("/emails/{id}/deliveries"))
            .expect(200)
            .json();
        for delivery in deliveries["data"].as_array().unwrap() {
            assert_eq!(delivery["status"], "delivered");
            assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1);
        }
    }
}

/// S1. No value adds a header or a recipient.
#[test]
fn what_cannot_be_sent_is_refused_with_every_reason_before_anything_is_stored() {
    let desk = Desk::new();
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    let check = |body: Value, expected: u16, pointers: &[&str]| {
        let problem = client.post("/emails", &body).expect(expected).json();
        let mut seen: Vec<_> = problem["errors"].as_array().into_iter().flatten().collect();
        seen.sort_by_key(|error| error["pointer"].as_str().unwrap_or_default().to_owned());
        let seen: Vec<_> = seen
            .iter()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect();
        assert_eq!(seen, pointers, "{problem}");
    };
    let injected = json!({"from": "a@b.c", "to": "x@y.z\r\nRCPT TO:<e@f.g>", "subject": "s\r\nBcc: e@f.g", "text": "x",
        "headers": {"X-A": "b\r\nBcc: e@f.g", "Bcc": "e@f.g"}, "scheduled_At": "2030-01-01T00:00:00Z"});
    check(
        injected,
        422,
        &[
            "/headers/Bcc",
            "/headers/X-A",
            "/scheduled_At",
            "/subject",
            "/to",
        ],
    );
    // A variable that reaches the subject is a header's value too.
    for title in ["hi\r\nBcc: e@f.g".to_owned(), "x".repeat(2000)] {
        let variables = json!({"title": title, "message": "x"});
        let template = json!({"id": "notice", "variables": variables});
        let injected = json!({"from": "a@b.c", "to": "x@y.z", "template": template});
        check(injected, 422, &["/template/variables"]);
    }
    let twice = json!({"from": "a@b.c", "to": "x@y.z", "subject": "s", "text": "x", "headers": {"X-A": "b", "x-a": "c"}});
    check(twice, 422, &["/headers/x-a"]);
    check(json!(["x"]), 422, &[""]);
    let unknown =
        json!({"from": "a@b.c", "to": "x@y.z", "template": {"id": "no-such", "variables": {}}});
    check(unknown, 422, &["/template/id"]);
    let lacking = json!({"from": "a@b.c", "to": "x@y.z", "template": {"id": "notice", "variables": {"title": 3}}});
    check(
        lacking,
        422,
        &["/template/variables/message", "/template/variables/title"],
    );
    let reply = client.send(
        "POST",
        "/emails",
        Some(("application/json", b"{\"from\":" as &[u8])),
    );
    let reply = reply.expect("the server answers");
    assert_eq!(
        (reply.status, reply.json()["name"].as_str()),
        (400, Some("validation_error"))
    );
    let huge =
        json!({"from": "a@b.c", "to": "x@y.z", "subject": "s", "text": "x".repeat(41 << 20)});
    assert_eq!(
        client.post("/emails", &huge).expect(413).json()["name"],
        "payload_too_large"
    );
    for (key, expected, name) in [
        (None, 401, "missing_api_key"),
        (Some("re_wrong"), 403, "invalid_api_key"),
    ] {
        let stranger = key.map_or_else(|| server.client(), |key| server.client().with_key(key));
        let body = json!({"from": "a@b.c", "to": "x@y.z", "subject": "s", "text": "x"});
        assert_eq!(
            stranger.post("/emails", &body).expect(expected).json()["name"],
            name
        );
    }
    assert!(desk.outbox().letters().is_empty());
}

/// A first try without a server, and with the addresses of another service's examples: nothing of it is captured.
#[test]
fn simulated_recipients_end_as_they_are_named() {
    let desk = Desk::new();
    let server = desk.start();
    let client = server.client().with_key("re_ph_dev");
    for (to, expected, event) in [
        ("delivered+1@resend.dev", "delivered", "delivered"),
        ("bounced@simulator.invalid", "failed", "bounced"),
        ("suppressed@simulator.invalid", "failed", "failed"),
        ("delayed@resend.dev", "deferred", "delivery_delayed"),
    ] {
        let mail = json!({"from": "app@example.com", "to": to, "subject": "hi", "text": "x"});
        let id = client.post("/emails", &mail).expect(200).json()["id"].clone();
        let id = id.as_str().expect("an id");
        eventually("its end is recorded", 10 * SECOND, || {
            (status(&client, id) == expected).then_some(())
        });
        let shown = client.get(&format!("/emails/{id}")).expect(200).json();
        assert_eq!(shown["last_event"], event, "{to}");
    }
    assert!(desk.outbox().letters().is_empty());
}

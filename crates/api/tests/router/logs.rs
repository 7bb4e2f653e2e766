//! What stands in the log of a request, and what never does.

use std::{cell::RefCell, io, sync::Once};

use axum::body::Body;
use posthaste_domain::stores::{Accepted, StoreError};
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    desk::{Api, Desk, KEY, json as with_json, request},
    submit::mail_with,
};

thread_local! {
    /// What was logged on this thread, which is what one test logged.
    static LOGGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Logs everything from now on, as lines of JSON. Every test of the program does so before its first request: what a
/// place in the code logs is decided, for all threads, when it is first reached.
pub(crate) fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(Log)
            .init();
    });
}

fn logged() -> String {
    LOGGED.with_borrow(|bytes| String::from_utf8(bytes.clone()).expect("logs are text"))
}

fn lines() -> Vec<Value> {
    let logged = logged();
    let lines = logged.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

async fn send(api: &Api, method: &str, path: &str, body: String) {
    let request = request(method, path).header("X-Request-Id", "r-1");
    api.send(with_json(request, body)).await;
}

#[tokio::test]
async fn a_request_is_one_line_with_its_route_and_id() {
    let api = Desk::new().api();
    send(&api, "GET", "/emails/42", String::new()).await;
    let lines = lines();
    let line = lines
        .iter()
        .find(|line| line["fields"]["message"] == "answered a request")
        .unwrap();
    let fields = &line["fields"];
    assert_eq!(fields["http.method"], "GET");
    assert_eq!(fields["http.route"], "/emails/{id}");
    assert_eq!(fields["http.status"], 404);
    assert!(fields["duration"].is_number());
    assert_eq!(line["span"]["request.id"], "r-1");
}

#[tokio::test]
async fn probes_are_logged_for_debugging_only() {
    send(&Desk::new().api(), "GET", "/livez", String::new()).await;
    let lines = lines();
    let line = lines
        .iter()
        .find(|line| line["fields"]["message"] == "answered a probe")
        .unwrap();
    assert_eq!(line["level"], "DEBUG");
}

#[tokio::test]
async fn no_address_key_token_or_body_is_logged() {
    let mut desk = Desk::new();
    desk.messages
        .expect_accept()
        .returning(|_, _| Ok(Accepted::Stored));
    desk.users.expect_confirm().returning(|_, _| Ok(None));
    let api = desk.api();
    let token = "c0ffee".repeat(11);
    let mail =
        |text: &str| mail_with(&serde_json::json!({ "to": "canary@example.com", "text": text }));
    send(&api, "POST", "/emails", mail("canary").to_string()).await;
    send(&api, "POST", "/emails", mail("canary\0").to_string()).await;
    send(
        &api,
        "GET",
        "/emails/canary@example.com?to=canary@example.com",
        String::new(),
    )
    .await;
    send(&api, "GET", "/canary@example.com", String::new()).await;
    send(&api, "CANARY", "/", String::new()).await;
    send(
        &api,
        "GET",
        &format!("/api/users/confirm?token={token}"),
        String::new(),
    )
    .await;
    let body = serde_json::json!({ "token": &token[..64] }).to_string();
    send(&api, "POST", "/api/users/confirm", body).await;
    let person = serde_json::json!({ "email": "canary@example.com", "password": "canary" });
    send(&api, "POST", "/api/users/register", person.to_string()).await;
    let text = logged().to_lowercase();
    assert!(lines().len() >= 8, "{text}");
    for secret in ["canary", "c0ffee", KEY] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn a_cause_is_logged_once_with_its_chain() {
    #[derive(Debug, thiserror::Error)]
    #[error("disk is full")]
    struct Full;
    let mut desk = Desk::new();
    desk.messages
        .expect_message()
        .returning(|_, _| Err(StoreError::Unavailable(Some(Box::new(Full)))));
    let path = "/emails/01990000-0000-7000-8000-000000000001";
    let request = request("GET", path)
        .header("X-Request-Id", "r-1")
        .body(Body::empty())
        .unwrap();
    desk.api().send(request).await.expect(503);
    let lines = lines();
    let told: Vec<_> = lines
        .iter()
        .filter(|line| line.to_string().contains("disk is full"))
        .collect();
    assert_eq!(told.len(), 1, "{lines:?}");
    assert_eq!(
        told[0]["fields"]["error"],
        "the store is not available: disk is full"
    );
    assert_eq!(told[0]["span"]["request.id"], "r-1");
}

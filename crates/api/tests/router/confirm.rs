//! The confirmation page and its button.

use axum::{body::Body, http::Request};
use posthaste_domain::{id::UserId, stores::StoreError, token::TokenSecret};
use serde_json::json;

use crate::desk::{Desk, Reply, json as with_json};

const PATH: &str = "/api/users/confirm";
const ID: &str = "01990000-0000-7000-8000-000000000001";

fn token() -> String {
    "0123456789abcdef".repeat(4)
}

/// One that knows the token of [`token`] and spends it once.
fn knowing() -> Desk {
    let hash = token().parse::<TokenSecret>().expect("a token").hash();
    let mut desk = Desk::new();
    let id: UserId = ID.parse().expect("an id");
    desk.users
        .expect_confirm()
        .withf(move |token, _| *token == hash)
        .once()
        .returning(move |_, _| Ok(Some(id)));
    desk
}

fn form(body: &str) -> Request<Body> {
    Request::post(PATH)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(Body::from(body.to_owned()))
        .expect("a request")
}

#[track_caller]
fn assert_page(reply: &Reply, status: u16) {
    assert_eq!(reply.status.as_u16(), status, "{}", reply.body);
    assert_eq!(
        reply.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let policy = reply.header("content-security-policy").expect("a policy");
    for directive in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for loaded in ["<script", "src=", "<link", "@import", "url("] {
        assert!(!reply.body.contains(loaded), "the page has {loaded}");
    }
}

/// The mock of the accounts' store refuses every call: looking at the page makes none.
#[tokio::test]
async fn looking_at_the_page_changes_nothing() {
    let api = Desk::new().api();
    let path = format!("{PATH}?token={}", token());
    for _ in 0..3 {
        let reply = api.get(&path).await;
        assert_page(&reply, 200);
        assert!(
            reply
                .body
                .contains("<form method=\"post\" action=\"confirm\">")
        );
        assert!(
            reply
                .body
                .contains(&format!("name=\"token\" value=\"{}\"", token()))
        );
    }
    let head = Request::head(&path).body(Body::empty()).unwrap();
    let reply = api.send(head).await.expect(200);
    assert_eq!(reply.body, "");
}

#[tokio::test]
async fn the_button_confirms() {
    let reply = knowing()
        .api()
        .send(form(&format!("token={}", token())))
        .await;
    assert_page(&reply, 200);
    assert!(reply.body.contains("Your address is confirmed"));
    assert!(
        !reply.body.contains(&token()),
        "a spent token is not shown again"
    );
}

#[tokio::test]
async fn a_program_confirms_with_json() {
    let body = json!({ "token": token() }).to_string();
    let reply = knowing()
        .api()
        .send(with_json(Request::post(PATH), body))
        .await
        .expect(200);
    assert_eq!(reply.json(), json!({ "id": ID, "status": "active" }));
}

#[tokio::test]
async fn a_token_that_does_not_work_is_told_in_the_form_of_the_request() {
    let spent = || {
        let mut desk = Desk::new();
        desk.users.expect_confirm().returning(|_, _| Ok(None));
        desk.api()
    };
    let reply = spent().send(form(&format!("token={}", token()))).await;
    assert_page(&reply, 422);
    assert!(reply.body.contains("this link is not valid"));
    let body = json!({ "token": token() }).to_string();
    let reply = spent().send(with_json(Request::post(PATH), body)).await;
    reply.expect_problem(422, "invalid_token");
    let body = json!({ "token": "abc" }).to_string();
    let reply = spent().send(with_json(Request::post(PATH), body)).await;
    reply.expect_problem(422, "invalid_token");
}

#[tokio::test]
async fn html_in_a_token_reaches_no_page() {
    let api = Desk::new().api();
    let evil = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    let reply = api.get(&format!("{PATH}?token={evil}")).await;
    assert_page(&reply, 422);
    assert!(!reply.body.contains("alert"), "{}", reply.body);
    let reply = api.send(form(&format!("token={evil}"))).await;
    assert_page(&reply, 422);
    assert!(!reply.body.contains("alert"), "{}", reply.body);
}

#[tokio::test]
async fn what_is_no_link_of_ours_is_refused() {
    let api = Desk::new().api();
    let twice = format!("?token={0}&token={0}", token());
    let more = format!("?token={}&next=https://evil.example", token());
    for query in ["", "?", "?token=", "?token=abc", "?tok=abc", &twice, &more] {
        assert_page(&api.get(&format!("{PATH}{query}")).await, 422);
    }
    for body in ["", "token", "token=&x=1", &format!("{}&x=1", token())] {
        assert_page(&api.send(form(body)).await, 422);
    }
}

#[tokio::test]
async fn json_fields_are_checked_as_everywhere() {
    let api = Desk::new().api();
    let check = async |body: serde_json::Value, name: &str, pointers: &[&str]| {
        let reply = api
            .send(with_json(Request::post(PATH), body.to_string()))
            .await;
        assert_eq!(reply.expect_problem(422, name).pointers(), pointers);
    };
    check(json!({}), "missing_required_field", &["/token"]).await;
    check(
        json!({ "token": 7, "x": 1 }),
        "validation_error",
        &["/token", "/x"],
    )
    .await;
}

#[tokio::test]
async fn other_bodies_are_refused() {
    let request = Request::post(PATH)
        .header("Content-Type", "text/plain")
        .body(Body::from("token=x"))
        .unwrap();
    Desk::new()
        .api()
        .send(request)
        .await
        .expect_problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_person_sees_a_page_when_the_store_does_not_answer() {
    let mut desk = Desk::new();
    desk.users
        .expect_confirm()
        .returning(|_, _| Err(StoreError::Unavailable(Some("canary".into()))));
    let reply = desk.api().send(form(&format!("token={}", token()))).await;
    assert_page(&reply, 503);
    assert!(!reply.body.contains("canary"));
    assert_eq!(reply.header("retry-after"), Some("5"));
    assert!(reply.body.contains(reply.header("x-request-id").unwrap()));
}

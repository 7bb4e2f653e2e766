//! API keys: missing, wrong, narrow.

use axum::{body::Body, http::Request};
use posthaste_domain::{owner::Owner, stores::Accepted};

use crate::{
    desk::{Api, Desk, KEY, READ_KEY, Reply, SEND_KEY, json},
    submit::mail,
};

const ID: &str = "01990000-0000-7000-8000-000000000001";

/// Every route that asks for a key: a key that it does not permit, and the scope that this one lacks.
fn guarded() -> Vec<(&'static str, String, &'static str, &'static str)> {
    let email = |rest: &str| format!("/emails/{ID}{rest}");
    let (send, read, admin) = ("send", "read", "admin");
    vec![
        ("POST", "/emails".into(), READ_KEY, send),
        ("POST", "/emails/batch".into(), READ_KEY, send),
        ("PATCH", email(""), READ_KEY, send),
        ("POST", email("/cancel"), READ_KEY, send),
        ("GET", "/emails".into(), SEND_KEY, read),
        ("GET", email(""), SEND_KEY, read),
        ("GET", email("/deliveries"), SEND_KEY, read),
        ("GET", email("/attachments"), SEND_KEY, read),
        ("GET", email(&format!("/attachments/{ID}")), SEND_KEY, read),
        (
            "GET",
            email(&format!("/attachments/{ID}/content")),
            SEND_KEY,
            read,
        ),
        ("GET", email("/raw"), READ_KEY, admin),
        ("POST", email("/retry"), SEND_KEY, admin),
        ("POST", email("/resend"), SEND_KEY, admin),
        ("POST", email("/resolve"), SEND_KEY, admin),
        ("GET", "/api-keys".into(), READ_KEY, admin),
        ("POST", "/api-keys".into(), SEND_KEY, admin),
        ("PATCH", format!("/api-keys/{ID}"), SEND_KEY, admin),
        ("DELETE", format!("/api-keys/{ID}"), SEND_KEY, admin),
        ("POST", format!("/api-keys/{ID}/rotate"), SEND_KEY, admin),
        ("GET", "/queue".into(), READ_KEY, admin),
        ("POST", "/queue/streams/otp/pause".into(), SEND_KEY, admin),
        ("POST", "/queue/streams/otp/resume".into(), SEND_KEY, admin),
        ("GET", "/queue/dead".into(), READ_KEY, admin),
        ("POST", "/queue/dead/retry".into(), SEND_KEY, admin),
        ("POST", "/queue/dead/drop".into(), SEND_KEY, admin),
        ("POST", format!("/queue/dead/{ID}/retry"), SEND_KEY, admin),
        ("POST", format!("/queue/dead/{ID}/drop"), SEND_KEY, admin),
        ("GET", format!("/api/users/{ID}"), READ_KEY, admin),
    ]
}

async fn with(api: &Api, method: &str, path: &str, authorization: Option<&str>) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(value) = authorization {
        request = request.header("Authorization", value);
    }
    // A body that is wrong in every way: nothing looks at it before the key.
    api.send(request.body(Body::from("{")).expect("a request"))
        .await
}

/// S12.
#[tokio::test]
async fn without_a_key_every_route_asks_for_one() {
    let api = Desk::new().api();
    for (method, path, ..) in guarded() {
        for authorization in [
            None,
            Some("Basic cmU6cmU="),
            Some("Bearer"),
            Some("Bearer  "),
            Some(KEY),
        ] {
            let reply = with(&api, method, &path, authorization).await;
            let reply = reply.expect_problem(401, "missing_api_key");
            assert_eq!(
                reply.header("www-authenticate"),
                Some("Bearer realm=\"posthaste\"")
            );
        }
    }
}

/// S12.
#[tokio::test]
async fn a_wrong_key_gets_one_answer_everywhere() {
    for (method, path, ..) in guarded() {
        // Each its own: of one client only so many are looked at.
        let api = Desk::new().api();
        for key in [
            "re_wrong",
            "re_ful",
            "re_fulll",
            "RE_FULL",
            "re_full re_full",
        ] {
            let reply = with(&api, method, &path, Some(&format!("Bearer {key}"))).await;
            let reply = reply.expect_problem(403, "invalid_api_key");
            assert!(!reply.body.contains("re_"), "{}", reply.body);
        }
    }
}

/// S12.
#[tokio::test]
async fn a_narrow_key_is_told_what_it_lacks() {
    let api = Desk::new().api();
    for (method, path, key, scope) in guarded() {
        let reply = with(&api, method, &path, Some(&format!("Bearer {key}"))).await;
        let reply = reply.expect_problem(401, "restricted_api_key");
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
        assert_eq!(reply.header("www-authenticate"), Some(challenge.as_str()));
    }
}

#[tokio::test]
async fn the_scheme_is_read_without_regard_to_case() {
    for authorization in [format!("bearer {KEY}"), format!("BEARER   {KEY} ")] {
        let mut desk = Desk::new();
        desk.messages
            .expect_accept()
            .returning(|_, _| Ok(Accepted::Stored));
        let request = Request::post("/emails").header("Authorization", authorization);
        desk.api()
            .send(json(request, mail().to_string()))
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn a_key_reads_the_messages_of_its_owner() {
    let mut desk = Desk::new();
    let shop: Owner = "shop".parse().unwrap();
    desk.messages
        .expect_message()
        .withf(move |owner, _| *owner == shop)
        .once()
        .returning(|_, _| Ok(None));
    let reply = with(
        &desk.api(),
        "GET",
        &format!("/emails/{ID}"),
        Some("Bearer re_read"),
    )
    .await;
    reply.expect_problem(404, "not_found");
}

//! API keys: missing, wrong, narrow.

use axum::{body::Body, http::Request};
use posthaste_domain::{owner::Owner, stores::Accepted};

use crate::{
    desk::{Api, Desk, KEY, READ_KEY, Reply, SEND_KEY, json},
    submit::mail,
};

const ID: &str = "01990000-0000-7000-8000-000000000001";

/// Every route that asks for a key, and a key that it does not permit.
fn guarded() -> [(&'static str, String, &'static str); 4] {
    [
        ("POST", "/emails".into(), READ_KEY),
        ("GET", format!("/emails/{ID}"), SEND_KEY),
        ("GET", format!("/emails/{ID}/deliveries"), SEND_KEY),
        ("GET", format!("/api/users/{ID}"), READ_KEY),
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

#[tokio::test]
async fn without_a_key_every_route_asks_for_one() {
    let api = Desk::new().api();
    for (method, path, _) in guarded() {
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

#[tokio::test]
async fn a_wrong_key_gets_one_answer_everywhere() {
    let api = Desk::new().api();
    for (method, path, _) in guarded() {
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

#[tokio::test]
async fn a_narrow_key_is_told_what_it_lacks() {
    let api = Desk::new().api();
    for ((method, path, key), scope) in guarded().into_iter().zip(["send", "read", "read", "admin"])
    {
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

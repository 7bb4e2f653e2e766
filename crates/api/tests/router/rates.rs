//! Limits on requests: of each key, and of whoever guesses keys.

use std::net::SocketAddr;

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Request, StatusCode},
};
use posthaste_api::{rates::KeyLimit, state::GUESSES};
use posthaste_domain::stores::Page;

use crate::desk::{Api, Desk, KEY, READ_KEY};

fn limited(burst: u32) -> Desk {
    let mut desk = Desk::new();
    desk.lists
        .expect_list()
        .returning(|_, _, _, _| Ok(Page::default()));
    desk.key_limit = Some(KeyLimit {
        rate: "1/h".parse().expect("a rate"),
        burst,
    });
    desk
}

async fn list(api: &Api, key: &str) -> crate::desk::Reply {
    let request = Request::get("/emails").header("Authorization", format!("Bearer {key}"));
    api.send(request.body(Body::empty()).expect("a request"))
        .await
}

#[tokio::test]
async fn a_key_is_told_how_it_stands_and_stopped_when_it_has_had_its_requests() {
    let api = limited(2).api();
    let first = list(&api, KEY).await.expect(200);
    for (name, value) in [
        ("ratelimit-limit", "2"),
        ("ratelimit-remaining", "1"),
        ("ratelimit-reset", "3600"),
        ("ratelimit-policy", "1;w=3600"),
    ] {
        assert_eq!(first.header(name), Some(value), "{name}");
    }
    // What is refused for another reason counts too.
    let request = Request::get("/emails?x=1").header("Authorization", format!("Bearer {KEY}"));
    let wrong = api
        .send(request.body(Body::empty()).expect("a request"))
        .await;
    let wrong = wrong.expect_problem(422, "invalid_parameter");
    assert_eq!(wrong.header("ratelimit-remaining"), Some("0"));
    let over = list(&api, KEY)
        .await
        .expect_problem(429, "rate_limit_exceeded");
    let wait: u64 = over
        .header("retry-after")
        .expect("a wait")
        .parse()
        .expect("seconds");
    assert!((3500..=3600).contains(&wait), "{wait}");
    assert_eq!(over.header("ratelimit-remaining"), Some("0"));
    list(&api, READ_KEY).await.expect(200);
}

#[tokio::test]
async fn without_a_limit_no_header_speaks_of_one() {
    let mut desk = limited(1);
    desk.key_limit = None;
    let api = desk.api();
    for _ in 0..5 {
        let reply = list(&api, KEY).await.expect(200);
        assert_eq!(reply.header("ratelimit-limit"), None);
    }
}

/// S16. Random keys from one client; a header that names another one does not help.
#[tokio::test]
async fn whoever_guesses_keys_is_stopped_and_nobody_else() {
    let api = limited(10).api();
    let from = async |address: &str, key: &str, forwarded: &str| {
        let mut request = Request::get("/emails")
            .header("Authorization", format!("Bearer {key}"))
            .header("X-Forwarded-For", forwarded)
            .body(Body::empty())
            .expect("a request");
        let peer: SocketAddr = address.parse().expect("an address");
        request.extensions_mut().insert(ConnectInfo(peer));
        api.send(request).await
    };
    for guess in 0..GUESSES {
        let reply = from(
            "192.0.2.7:1",
            &format!("re_{guess}"),
            &format!("10.9.8.{guess}"),
        )
        .await;
        reply.expect_problem(403, "invalid_api_key");
    }
    let reply = from("192.0.2.7:2", "re_one_more", "10.9.9.9").await;
    let reply = reply.expect_problem(429, "rate_limit_exceeded");
    assert!(reply.header("retry-after").is_some());
    let valid = from("192.0.2.7:3", KEY, "").await;
    assert_eq!(valid.status, StatusCode::OK, "a valid key is no guess");
    from("192.0.2.8:1", "re_wrong", "").await.expect(403);
}

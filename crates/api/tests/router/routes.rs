//! Paths, methods, hosts and request ids.

use axum::{body::Body, http::Request};
use posthaste_api::state::Hosts;
use posthaste_domain::stores::Accepted;
use serde_json::json;

use crate::{
    desk::{Desk, json as with_json, request},
    submit::mail,
};

#[tokio::test]
async fn the_root_says_what_this_is() {
    let reply = Desk::new().api().get("/").await.expect(200);
    let root = reply.json();
    assert_eq!(root["name"], "posthaste");
    assert_eq!(root["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(root["links"]["emails"], "/emails");
}

#[tokio::test]
async fn routes_that_are_not_there_are_not_found() {
    let api = Desk::new().api();
    for path in [
        "/nowhere",
        "/emails/",
        "/emails/batch/x",
        "/templates",
        "/domains",
        "/console/",
        "/api/auth/tokens",
        "/webhooks",
        "/api/users",
        "/openapi.json",
        "/metrics",
        "/emails/../livez",
    ] {
        api.get(path).await.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_route_names_the_methods_it_has() {
    let api = Desk::new().api();
    for (method, path, allowed) in [
        ("PUT", "/emails", "GET,HEAD,POST"),
        ("DELETE", "/emails/x", "GET,HEAD,PATCH"),
        ("POST", "/livez", "GET,HEAD"),
        ("PUT", "/api/users/register", "POST"),
        ("GET", "/api/auth/login", "POST"),
        ("GET", "/api/auth/refresh", "POST"),
        ("GET", "/api/auth/logout", "POST"),
        ("GET", "/api/users/confirm/resend", "POST"),
        ("GET", "/api/users/password/forgot", "POST"),
        ("GET", "/api/users/password/change", "POST"),
        ("DELETE", "/api/users/password/reset", "GET,HEAD,POST"),
        ("DELETE", "/api/users/confirm", "GET,HEAD,POST"),
        ("OPTIONS", "/emails", "GET,HEAD,POST"),
        ("BREW", "/", "GET,HEAD"),
    ] {
        let reply = api
            .send(request(method, path).body(Body::empty()).unwrap())
            .await;
        let reply = reply.expect_problem(405, "method_not_allowed");
        assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let reply = Desk::new()
        .api()
        .send(request("HEAD", "/").body(Body::empty()).unwrap())
        .await;
    let reply = reply.expect(200);
    assert_eq!(reply.body, "");
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_base_url_with_a_slash_at_its_end_works() {
    let mut desk = Desk::new();
    desk.messages
        .expect_accept()
        .returning(|_, _| Ok(Accepted::Stored));
    let api = desk.api();
    api.post("//emails", &mail()).await.expect(200);
    let reply = api
        .post("//emails", &json!({}))
        .await
        .expect_problem(422, "missing_required_field");
    assert_eq!(reply.json()["instance"], "/emails");
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_any_other_replaced() {
    let api = Desk::new().api();
    let answered = async |given: Option<&str>| {
        let mut request = request("GET", "/livez");
        if let Some(id) = given {
            request = request.header("X-Request-Id", id);
        }
        let reply = api
            .send(request.body(Body::empty()).expect("a request"))
            .await
            .expect(200);
        reply.header("x-request-id").expect("an id").to_owned()
    };
    assert_eq!(answered(Some("req_42.a:b/c+d=")).await, "req_42.a:b/c+d=");
    for insane in ["", "a b", "<script>", "\"", "é", &"x".repeat(129)] {
        assert_ne!(answered(Some(insane)).await, insane);
    }
    let (one, two) = (answered(None).await, answered(None).await);
    assert_eq!(one.len(), 36);
    assert_ne!(one, two);
}

#[tokio::test]
async fn development_answers_names_of_this_machine_only() {
    let mut desk = Desk::new();
    desk.hosts = Hosts::Loopback;
    let api = desk.api();
    let host = |host: &str| {
        Request::get("/livez")
            .header("Host", host)
            .body(Body::empty())
            .unwrap()
    };
    for own in [
        "localhost:8025",
        "127.0.0.1",
        "[::1]:8025",
        "mail.localhost",
    ] {
        api.send(host(own)).await.expect(200);
    }
    for other in [
        "evil.example",
        "evil.example:8025",
        "10.0.0.1:8025",
        "localhost.evil.example",
        "a b",
    ] {
        api.send(host(other))
            .await
            .expect_problem(421, "misdirected_request");
    }
    let none = Request::get("/livez").body(Body::empty()).unwrap();
    api.send(none)
        .await
        .expect_problem(421, "misdirected_request");
    let target = Request::get("http://evil.example/livez").header("Host", "localhost");
    api.send(target.body(Body::empty()).unwrap())
        .await
        .expect_problem(421, "misdirected_request");
}

#[tokio::test]
async fn elsewhere_any_host_is_answered() {
    let request = Request::get("/livez")
        .header("Host", "mail.example.com")
        .body(Body::empty())
        .unwrap();
    Desk::new().api().send(request).await.expect(200);
}

#[tokio::test]
async fn nothing_is_read_before_the_host_is_known_to_be_ours() {
    let mut desk = Desk::new();
    desk.hosts = Hosts::Loopback;
    let request = request("POST", "/emails").header("Host", "evil.example");
    let reply = desk
        .api()
        .send(with_json(request, mail().to_string()))
        .await;
    reply.expect_problem(421, "misdirected_request");
}

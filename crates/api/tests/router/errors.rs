//! The shape of errors, which is one.

use axum::body::Body;
use serde_json::json;

use crate::{
    desk::{Desk, json as with_json, request},
    submit::mail,
};

#[tokio::test]
async fn a_problem_has_every_member() {
    let request = request("POST", "/emails?debug=1").header("X-Request-Id", "r-1");
    let body = json!({ "from": "o@acme.com", "to": ["nobody"], "text": "x" });
    let reply = Desk::new()
        .api()
        .send(with_json(request, body.to_string()))
        .await;
    let expected = json!({
        "type": "urn:posthaste:problem:validation_error", "title": "Validation failed", "status": 422,
        "detail": "2 fields are invalid", "instance": "/emails", "statusCode": 422,
        "name": "validation_error", "message": "`to[0]`: missing @ (and 1 more)", "request_id": "r-1",
        "errors": [
            { "pointer": "/to/0", "detail": "missing @" }, { "pointer": "/subject", "detail": "required" },
        ],
    });
    assert_eq!(
        reply.expect_problem(422, "validation_error").json(),
        expected
    );
}

#[tokio::test]
async fn an_error_is_plain_json_for_whom_that_alone_is_accepted() {
    let check = async |accept: &str, expected: &str| {
        let request = request("GET", "/nowhere").header("Accept", accept);
        let reply = Desk::new()
            .api()
            .send(request.body(Body::empty()).unwrap())
            .await
            .expect(404);
        assert_eq!(reply.header("content-type"), Some(expected), "{accept}");
        assert_eq!(reply.json()["name"], "not_found");
    };
    check("application/json", "application/json").await;
    check("text/html, Application/JSON;q=0.9", "application/json").await;
    check(
        "application/json, application/problem+json",
        "application/problem+json",
    )
    .await;
    check("*/*", "application/problem+json").await;
    check("text/html", "application/problem+json").await;
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let reply = Desk::new()
        .api()
        .send(request("HEAD", "/nowhere").body(Body::empty()).unwrap())
        .await;
    assert_eq!(reply.expect(404).body, "");
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    for body in ["", "{", "{'a':1}", "[1,]", "\u{feff}{}", &deep, "{} {}"] {
        let reply = Desk::new()
            .api()
            .send(with_json(request("POST", "/emails"), body.to_owned()))
            .await;
        reply.expect_problem(400, "validation_error");
    }
    let reply = Desk::new()
        .api()
        .send(with_json(
            request("POST", "/emails"),
            b"{\"a\":\"\xff\"}".to_vec(),
        ))
        .await;
    reply.expect_problem(400, "validation_error");
}

#[tokio::test]
async fn other_types_than_json_are_refused() {
    for kind in [
        "text/plain",
        "application/jsonx",
        "multipart/form-data",
        "application/json; charset=latin1",
        "",
    ] {
        let request = request("POST", "/emails").header("Content-Type", kind);
        let request = request.body(Body::from(mail().to_string())).unwrap();
        let reply = Desk::new().api().send(request).await;
        reply.expect_problem(415, "unsupported_media_type");
    }
    let request = request("POST", "/emails")
        .body(Body::from(mail().to_string()))
        .unwrap();
    Desk::new()
        .api()
        .send(request)
        .await
        .expect_problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn json_by_its_other_names_is_read() {
    for kind in [
        "application/json; charset=UTF-8",
        "APPLICATION/JSON",
        "application/vnd.acme+json",
        "application/json;charset=\"utf-8\"",
    ] {
        let request = request("POST", "/emails").header("Content-Type", kind);
        let reply = Desk::new()
            .api()
            .send(request.body(Body::from("{}")).unwrap())
            .await;
        reply.expect_problem(422, "missing_required_field");
    }
}

#[tokio::test]
async fn an_answer_stays_short_however_long_the_list_of_errors() {
    let members: serde_json::Map<_, _> = (0..500)
        .map(|n| (format!("{n}{}", "x".repeat(1000)), json!(1)))
        .collect();
    let reply = Desk::new().api().post("/emails", &members.into()).await;
    let reply = reply.expect_problem(422, "validation_error");
    assert_eq!(reply.fields().len(), 100);
    assert!(reply.body.len() < 32 * 1024, "{} bytes", reply.body.len());
    assert_eq!(reply.json()["detail"], "504 fields are invalid");
}

#[tokio::test]
async fn a_panic_ends_its_own_request_only() {
    let mut desk = Desk::new();
    desk.messages
        .expect_message()
        .returning(|_, _| panic!("canary"));
    let api = desk.api();
    let path = "/emails/01990000-0000-7000-8000-000000000001";
    let reply = api.get(path).await.expect_problem(500, "application_error");
    assert!(!reply.body.contains("canary"));
    api.get("/livez").await.expect(200);
}

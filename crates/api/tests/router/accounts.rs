//! `POST /api/users/register` and `GET /api/users/{id}`.

use std::sync::{Arc, Mutex};

use axum::{body::Body, http::Request};
use posthaste_domain::{
    password::HashError,
    stores::{Registration, Requested, StoreError},
    template::{PinError, VariableProblem},
    user::{User, UserStatus},
};
use serde_json::{Value, json};

use crate::desk::{Desk, Reply, json as with_json, no_template, now};

const PATH: &str = "/api/users/register";
const ID: &str = "01990000-0000-7000-8000-000000000001";

fn person() -> Value {
    json!({ "email": "Ada@Example.com", "display_name": "Ada", "password": "correct horse battery" })
}

/// Registers without a key: nobody has one yet.
async fn register(desk: Desk, body: &Value) -> Reply {
    desk.api()
        .send(with_json(Request::post(PATH), body.to_string()))
        .await
}

#[tokio::test]
async fn an_account_is_registered_and_its_place_is_told() {
    let seen: Arc<Mutex<Option<Registration>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let mut desk = Desk::registering();
    desk.users
        .expect_register()
        .once()
        .returning(move |registration| {
            *kept.lock().expect("not poisoned") = Some(registration);
            Ok(Requested::Taken)
        });
    let reply = register(desk, &person()).await.expect(201);
    let registration = seen
        .lock()
        .expect("not poisoned")
        .take()
        .expect("registered");
    let id = registration.id.to_string();
    assert_eq!(
        reply.header("location"),
        Some(format!("/api/users/{id}").as_str())
    );
    let expected = json!({
        "id": id, "email": "Ada@example.com", "status": "pending", "created_at": "2026-12-01T09:00:00.000Z",
    });
    assert_eq!(reply.json(), expected);
    assert_eq!(registration.display_name.unwrap().as_str(), "Ada");
}

/// The store tells nobody whether an address was known; neither does what the answer is made of.
#[tokio::test]
async fn an_address_that_is_known_gets_the_same_answer() {
    let answer = async || {
        let mut desk = Desk::registering();
        desk.users
            .expect_register()
            .returning(|_| Ok(Requested::Taken));
        register(desk, &person()).await.expect(201)
    };
    let (first, second) = (answer().await, answer().await);
    let names = |reply: &Reply| {
        reply
            .headers
            .keys()
            .map(|name| name.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&first), names(&second));
    let without_id = |reply: &Reply| {
        let mut body = reply.json();
        assert!(body["id"].take().is_string());
        body
    };
    assert_eq!(without_id(&first), without_id(&second));
    assert_ne!(first.json()["id"], second.json()["id"]);
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let body = json!({
        "email": "ada", "password": "short canary", "display_name": "a\nb", "locale": "de", "admin": true,
    });
    let reply = register(Desk::new(), &body)
        .await
        .expect_problem(422, "validation_error");
    assert_eq!(
        reply.pointers(),
        ["/email", "/password", "/display_name", "/locale", "/admin"]
    );
    assert!(!reply.body.contains("canary"), "{}", reply.body);
    let reply = register(Desk::new(), &json!({ "display_name": null })).await;
    let reply = reply.expect_problem(422, "missing_required_field");
    assert_eq!(reply.pointers(), ["/email", "/password"]);
}

#[tokio::test]
async fn kinds_are_checked() {
    let reply = register(Desk::new(), &json!({ "email": ["a@b.c"], "password": 7 })).await;
    assert_eq!(reply.expect(422).pointers(), ["/email", "/password"]);
}

#[tokio::test]
async fn a_body_about_an_account_is_small() {
    let body = json!({ "email": "ada@example.com", "password": "x".repeat(70_000) });
    register(Desk::new(), &body)
        .await
        .expect_problem(413, "payload_too_large");
}

#[tokio::test]
async fn trouble_is_told_apart_and_hides_its_cause() {
    let check = async |desk: Desk, status, name| {
        let reply = register(desk, &person()).await.expect_problem(status, name);
        assert!(!reply.body.contains("canary"), "{}", reply.body);
        assert_eq!(reply.header("retry-after").is_some(), status == 503);
    };
    for (error, status, name) in [
        (HashError::Overloaded, 503, "service_unavailable"),
        (HashError::Failed, 500, "application_error"),
    ] {
        let mut desk = Desk::new();
        desk.hasher.expect_hash().returning(move |_| Err(error));
        check(desk, status, name).await;
    }
    let mut desk = Desk::registering();
    desk.users
        .expect_register()
        .returning(|_| Err(StoreError::Unavailable(Some("canary".into()))));
    check(desk, 503, "service_unavailable").await;

    let broken = || {
        let problem = VariableProblem {
            name: "canary".into(),
            detail: "required".into(),
            missing: true,
        };
        PinError::Variables(vec![problem])
    };
    for pin in [broken(), no_template("confirm-account")] {
        let mut desk = Desk::new();
        desk.hasher.expect_hash().returning(|_| {
            Ok(posthaste_domain::password::PasswordHash::from_phc(
                "$argon2id$".into(),
            ))
        });
        desk.templates
            .expect_pin()
            .returning(move |_, _| Err(pin.clone()));
        check(desk, 500, "application_error").await;
    }
}

#[tokio::test]
async fn an_account_is_shown_to_an_admin() {
    let mut desk = Desk::new();
    desk.users.expect_user().returning(|id| {
        Ok(Some(User {
            id,
            email: "ada@example.com".parse().expect("an address"),
            display_name: Some("<b>Ada</b>".parse().expect("a name")),
            status: UserStatus::Active,
            created_at: now(),
        }))
    });
    let reply = desk
        .api()
        .get(&format!("/api/users/{ID}"))
        .await
        .expect(200);
    let expected = json!({
        "id": ID, "email": "ada@example.com", "display_name": "<b>Ada</b>", "status": "active",
        "created_at": "2026-12-01T09:00:00.000Z",
    });
    assert_eq!(reply.json(), expected);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn an_account_that_is_not_there_is_not_found() {
    let mut desk = Desk::new();
    desk.users.expect_user().returning(|_| Ok(None));
    let api = desk.api();
    api.get(&format!("/api/users/{ID}"))
        .await
        .expect_problem(404, "not_found");
    api.get("/api/users/42")
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn registering_takes_json_only() {
    let form = Request::post(PATH)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(Body::from("email=ada@example.com"))
        .unwrap();
    Desk::new()
        .api()
        .send(form)
        .await
        .expect_problem(415, "unsupported_media_type");
}

//! `/api/users/password/…` and `/api/users/confirm/resend`.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{body::Body, http::Request};
use posthaste_domain::{
    stores::{LinkRequest, Requested},
    token::{TokenPurpose, TokenSecret},
    user::UserStatus,
};
use serde_json::{Value, json};

use crate::{
    desk::{Api, Desk, Reply, json as with_json},
    sessions::{ada, knowing},
};

const RESET: &str = "/api/users/password/reset";
const NEW: &str = "a wholly other passphrase";

async fn post(api: &Api, path: &str, body: &Value) -> Reply {
    api.send(with_json(Request::post(path), body.to_string()))
        .await
}

async fn submit_form(api: &Api, body: String) -> Reply {
    let form = Request::post(RESET)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .expect("a request");
    api.send(form).await
}

/// S9. Known or not, the same answer after the same work: a mail is made and handed to the store in both cases.
#[tokio::test]
async fn whoever_asks_for_a_link_learns_nothing() {
    for (path, purpose, template) in [
        (
            "/api/users/password/forgot",
            TokenPurpose::ResetPassword,
            "reset-password",
        ),
        (
            "/api/users/confirm/resend",
            TokenPurpose::ConfirmAccount,
            "confirm-account",
        ),
    ] {
        let seen: Arc<Mutex<Vec<LinkRequest>>> = Arc::default();
        let kept = Arc::clone(&seen);
        let mut desk = knowing(UserStatus::Pending);
        desk.users
            .expect_request_link()
            .times(2)
            .returning(move |request| {
                kept.lock().expect("not poisoned").push(request);
                Ok(Requested::Taken)
            });
        let api = desk.api();
        for email in ["ada@example.com", "bob@example.com"] {
            let reply = post(&api, path, &json!({ "email": email })).await;
            assert_eq!(reply.expect(202).body, "", "{email}");
        }
        for request in seen.lock().expect("not poisoned").iter() {
            assert_eq!(request.token.purpose, purpose);
            let mail = &request.mail;
            assert_eq!(mail.deliveries.len(), 1);
            assert!(
                format!("{:?}", mail.content).contains(template),
                "{:?}",
                mail.content
            );
            assert_eq!(
                mail.expires_at, request.token.expires_at,
                "a link that no longer works is not mailed"
            );
        }
    }
}

/// S16.
#[tokio::test]
async fn the_limit_on_mails_to_an_address_is_told_with_its_wait() {
    let retry_after = Duration::from_millis(1_234_500);
    for path in ["/api/users/password/forgot", "/api/users/confirm/resend"] {
        let mut desk = knowing(UserStatus::Active);
        desk.users
            .expect_request_link()
            .returning(move |_| Ok(Requested::Limited { retry_after }));
        let reply = post(&desk.api(), path, &json!({ "email": "ada@example.com" })).await;
        let reply = reply.expect_problem(429, "rate_limit_exceeded");
        assert_eq!(reply.header("retry-after"), Some("1235"));
    }
}

#[tokio::test]
async fn the_page_of_a_link_changes_nothing_and_keeps_its_secret() {
    let token = TokenSecret::generate().unwrap().reveal();
    let api = Desk::new().api();
    let page = api.get(&format!("{RESET}?token={token}")).await.expect(200);
    assert!(page.body.contains(&token) && page.body.contains("minlength=\"15\""));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    let refused = api
        .get(&format!("{RESET}?token=nonsense"))
        .await
        .expect(422);
    assert!(
        refused
            .header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
}

/// A desk with one reset link.
fn with_link(token: &TokenSecret) -> Desk {
    let hash = token.hash();
    let mut desk = Desk::registering();
    desk.users
        .expect_holder()
        .returning(move |presented, purpose, _| {
            assert_eq!(purpose, TokenPurpose::ResetPassword);
            Ok((presented == hash).then(|| ada(UserStatus::Active)))
        });
    desk
}

#[tokio::test]
async fn a_link_sets_the_password_by_form_and_by_json() {
    let token = TokenSecret::generate().unwrap();
    let reset = |token: &TokenSecret| {
        let mut desk = with_link(token);
        desk.users
            .expect_reset_password()
            .once()
            .withf(|reset| format!("{:?}", reset.notice.content).contains("password-changed"))
            .returning(|_| Ok(Some(ada(UserStatus::Active).id)));
        desk.api()
    };
    let form = format!(
        "token={}&password={}",
        token.reveal(),
        NEW.replace(' ', "+")
    );
    let page = submit_form(&reset(&token), form).await.expect(200);
    assert!(page.body.contains("new password is set"), "{}", page.body);
    let body = json!({ "token": token.reveal(), "password": NEW });
    let reply = post(&reset(&token), RESET, &body).await.expect(200);
    assert_eq!(reply.json()["status"], "active");
}

/// The link stays good: the store is not asked to spend it.
#[tokio::test]
async fn a_password_that_is_refused_does_not_spend_the_link() {
    let token = TokenSecret::generate().unwrap();
    for weak in ["too short", "passwordpassword", "ada@example.com!"] {
        let api = with_link(&token).api();
        let body = json!({ "token": token.reveal(), "password": weak });
        let reply = post(&api, RESET, &body).await;
        let reply = reply.expect_problem(422, "validation_error");
        assert_eq!(reply.pointers(), ["/password"]);
        let form = format!("token={}&password={weak}", token.reveal());
        let page = submit_form(&api, form.replace(' ', "+")).await.expect(422);
        assert!(page.body.contains("role=\"alert\""), "{}", page.body);
        assert!(page.body.contains(&token.reveal()), "to be tried again");
    }
}

#[tokio::test]
async fn a_link_that_does_not_work_is_refused_in_one_way() {
    let (token, other) = (
        TokenSecret::generate().unwrap(),
        TokenSecret::generate().unwrap(),
    );
    let api = with_link(&token).api();
    for text in [other.reveal(), "nonsense".into()] {
        let body = json!({ "token": text, "password": NEW });
        post(&api, RESET, &body)
            .await
            .expect_problem(422, "invalid_token");
    }
    // Spent by another request between the look and the write.
    let mut desk = with_link(&token);
    desk.users.expect_reset_password().returning(|_| Ok(None));
    let body = json!({ "token": token.reveal(), "password": NEW });
    post(&desk.api(), RESET, &body)
        .await
        .expect_problem(422, "invalid_token");
}

#[tokio::test]
async fn whoever_is_logged_in_changes_the_password_by_the_present_one() {
    let token = TokenSecret::generate().unwrap();
    let change = async |desk: Desk, present: &str, new: &str, bearer: &str| {
        let body = json!({ "current_password": present, "password": new });
        let request = Request::post("/api/users/password/change")
            .header("Authorization", format!("Bearer {bearer}"));
        desk.api().send(with_json(request, body.to_string())).await
    };
    let logged_in = || {
        let hash = token.hash();
        let mut desk = knowing(UserStatus::Active);
        desk.sessions
            .expect_access_holder()
            .returning(
                move |presented, _| Ok((presented == hash).then(|| ada(UserStatus::Active))),
            );
        desk
    };
    let right = "right horse battery staple";
    let mut desk = logged_in();
    desk.users
        .expect_change_password()
        .once()
        .returning(|_| Ok(true));
    change(desk, right, NEW, &token.reveal()).await.expect(204);

    let bearer = token.reveal();
    change(logged_in(), "wrong horse", NEW, &bearer)
        .await
        .expect_problem(401, "invalid_credentials");
    let weak = change(logged_in(), right, "ada@example.com!", &bearer).await;
    assert_eq!(weak.expect(422).pointers(), ["/password"]);
    let stranger = TokenSecret::generate().unwrap().reveal();
    for nobody in [stranger.as_str(), "nonsense"] {
        change(logged_in(), right, NEW, nobody)
            .await
            .expect_problem(401, "invalid_access_token");
    }
}

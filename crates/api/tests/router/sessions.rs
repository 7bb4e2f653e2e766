//! `POST /api/auth/…`, and what an access token opens.

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Request, request::Builder},
};
use posthaste_domain::{
    id::{SessionId, UserId},
    password::{HashError, PasswordHash},
    stores::{Credentials, Rotated, StoreError},
    token::TokenSecret,
    user::{User, UserStatus},
};
use serde_json::{Value, json};

use crate::desk::{Api, Desk, Reply, json as with_json, now};

const ID: &str = "01990000-0000-7000-8000-000000000001";
const OTHER: &str = "01990000-0000-7000-8000-000000000002";

pub(crate) fn ada(status: UserStatus) -> User {
    User {
        id: ID.parse().expect("an id"),
        email: "Ada@example.com".parse().expect("an address"),
        display_name: Some("Ada".parse().expect("a name")),
        status,
        created_at: now(),
    }
}

/// A desk that knows one account.
pub(crate) fn knowing(status: UserStatus) -> Desk {
    let mut desk = Desk::registering();
    desk.users.expect_credentials().returning(move |email| {
        let known = email.canonical() == ada(status).email.canonical();
        Ok(known.then(|| Credentials {
            user: ada(status),
            password: PasswordHash::from_phc("right horse battery staple".into()),
        }))
    });
    // The hash of these tests is the password itself.
    desk.hasher.expect_verify().returning(|password, hash| {
        Ok(hash.is_some_and(|hash| hash.as_phc() == password.reveal()))
    });
    desk
}

async fn post(api: &Api, path: &str, body: &Value) -> Reply {
    api.send(with_json(Request::post(path), body.to_string()))
        .await
}

async fn log_in(api: &Api, email: &str, password: &str) -> Reply {
    let body = json!({ "email": email, "password": password });
    post(api, "/api/auth/login", &body).await
}

#[tokio::test]
async fn a_right_password_opens_a_session_and_its_tokens_are_shown() {
    let mut desk = knowing(UserStatus::Active);
    desk.sessions
        .expect_open()
        .once()
        .withf(|session| session.user.to_string() == ID && session.tokens.access_expires_at > now())
        .returning(|_| Ok(true));
    let reply = log_in(&desk.api(), "ada@EXAMPLE.com", "right horse battery staple").await;
    let reply = reply.expect(200);
    let tokens = reply.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 900);
    assert_eq!(tokens["refresh_expires_in"], 2_592_000);
    let token = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    assert!(token("access_token").parse::<TokenSecret>().is_ok());
    assert_ne!(token("access_token"), token("refresh_token"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

/// S9.
#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_are_answered_alike() {
    let api = knowing(UserStatus::Active).api();
    let wrong = log_in(&api, "ada@example.com", "wrong horse battery").await;
    let unknown = log_in(&api, "bob@example.com", "right horse battery staple").await;
    let strip = |reply: Reply| {
        let reply = reply.expect_problem(401, "invalid_credentials");
        assert_eq!(
            reply.header("www-authenticate"),
            Some("Bearer realm=\"posthaste\"")
        );
        let mut body = reply.json();
        body["request_id"].take();
        body
    };
    assert_eq!(strip(wrong), strip(unknown));
}

#[tokio::test]
async fn an_account_that_waits_for_its_confirmation_is_told_so_after_a_right_password_only() {
    let api = knowing(UserStatus::Pending).api();
    log_in(&api, "ada@example.com", "wrong horse battery")
        .await
        .expect_problem(401, "invalid_credentials");
    log_in(&api, "ada@example.com", "right horse battery staple")
        .await
        .expect_problem(403, "email_not_confirmed");
}

#[tokio::test]
async fn a_password_that_changes_while_it_is_verified_opens_nothing() {
    let mut desk = knowing(UserStatus::Active);
    desk.sessions.expect_open().returning(|_| Ok(false));
    log_in(&desk.api(), "ada@example.com", "right horse battery staple")
        .await
        .expect_problem(401, "invalid_credentials");
}

/// S16. Ten a minute to one address, whoever asks and whatever the password is; the eleventh is not looked at.
#[tokio::test]
async fn log_ins_to_one_address_are_limited() {
    let mut desk = Desk::new();
    desk.users
        .expect_credentials()
        .times(10)
        .returning(|_| Ok(None));
    desk.hasher
        .expect_verify()
        .times(10)
        .returning(|_, _| Ok(false));
    let api = desk.api();
    let from = async |host: u8, email: &str| {
        let body = json!({ "email": email, "password": "wrong horse battery" });
        let request = Request::post("/api/auth/login");
        api.send(from_client([192, 0, 2, host], request, &body))
            .await
    };
    for host in 0..10 {
        from(host, "Ada@example.com")
            .await
            .expect_problem(401, "invalid_credentials");
    }
    let refused = from(10, "ada@EXAMPLE.com").await;
    let refused = refused.expect_problem(429, "rate_limit_exceeded");
    assert_eq!(refused.header("retry-after"), Some("60"));
}

/// S16. Ten a minute from one client, however many addresses it tries; a header of its own invention changes nothing.
#[tokio::test]
async fn log_ins_from_one_client_are_limited_and_a_forged_header_does_not_help() {
    let mut desk = Desk::new();
    desk.users.expect_credentials().returning(|_| Ok(None));
    desk.hasher.expect_verify().returning(|_, _| Ok(false));
    let api = desk.api();
    let from = async |peer: [u8; 4], forwarded: u8, email: u8| {
        let body =
            json!({ "email": format!("user{email}@example.com"), "password": "wrong horse" });
        let request = Request::post("/api/auth/login")
            .header("X-Forwarded-For", format!("203.0.113.{forwarded}"));
        api.send(from_client(peer, request, &body)).await
    };
    for number in 0..10 {
        from([192, 0, 2, 1], number, number).await.expect(401);
    }
    from([192, 0, 2, 1], 99, 99)
        .await
        .expect_problem(429, "rate_limit_exceeded");
    from([192, 0, 2, 2], 99, 99).await.expect(401);
    // A trusted proxy says whom it speaks for.
    for number in 0..10 {
        from([10, 0, 0, 1], 7, 100 + number).await.expect(401);
    }
    from([10, 0, 0, 1], 7, 200).await.expect(429);
    from([10, 0, 0, 2], 7, 201).await.expect(429);
    from([10, 0, 0, 1], 8, 202).await.expect(401);
}

fn from_client(peer: [u8; 4], request: Builder, body: &Value) -> Request<Body> {
    let mut request = with_json(request, body.to_string());
    let peer = std::net::SocketAddr::from((peer, 40_000));
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

#[tokio::test]
async fn a_refresh_answers_with_a_new_pair_or_with_one_and_the_same_refusal() {
    let presented = TokenSecret::generate().unwrap();
    let body = json!({ "refresh_token": presented.reveal() });
    let user: UserId = ID.parse().unwrap();
    let session: SessionId = OTHER.parse().unwrap();
    for (rotated, status) in [
        (Rotated::Renewed(user), 200),
        (Rotated::Raced, 401),
        (Rotated::Reused { session, user }, 401),
        (Rotated::Invalid, 401),
    ] {
        let mut desk = Desk::registering();
        desk.sessions
            .expect_refresh_holder()
            .returning(|_| Ok(Some(ada(UserStatus::Active))));
        desk.sessions
            .expect_rotate()
            .once()
            .returning(move |_| Ok(rotated));
        let reply = post(&desk.api(), "/api/auth/refresh", &body).await;
        if status == 200 {
            let new = reply.expect(200).json()["refresh_token"].clone();
            assert_ne!(new, json!(presented.reveal()));
        } else {
            reply.expect_problem(401, "invalid_refresh_token");
        }
    }
    let mut desk = Desk::new();
    desk.sessions
        .expect_refresh_holder()
        .returning(|_| Ok(None));
    let api = desk.api();
    for body in [body, json!({ "refresh_token": "nonsense" })] {
        post(&api, "/api/auth/refresh", &body)
            .await
            .expect_problem(401, "invalid_refresh_token");
    }
}

#[tokio::test]
async fn a_log_out_ends_the_session_and_is_never_refused_for_the_token() {
    let token = TokenSecret::generate().unwrap();
    let hash = token.hash();
    let mut desk = Desk::new();
    desk.sessions
        .expect_end()
        .once()
        .withf(move |presented, _| *presented == hash)
        .returning(|_, _| Ok(()));
    let api = desk.api();
    let body = json!({ "refresh_token": token.reveal() });
    let reply = post(&api, "/api/auth/logout", &body).await.expect(204);
    assert_eq!(reply.body, "");
    let nonsense = json!({ "refresh_token": "nonsense" });
    post(&api, "/api/auth/logout", &nonsense).await.expect(204);
}

#[tokio::test]
async fn an_access_token_opens_its_own_account_and_no_other() {
    let token = TokenSecret::generate().unwrap();
    let hash = token.hash();
    let mut desk = Desk::new();
    desk.sessions
        .expect_access_holder()
        .returning(move |presented, _| Ok((presented == hash).then(|| ada(UserStatus::Active))));
    let api = desk.api();
    let look = async |id: &str, token: &str| {
        let request = Request::get(format!("/api/users/{id}"))
            .header("Authorization", format!("Bearer {token}"));
        api.send(request.body(Body::empty()).unwrap()).await
    };
    let own = look(ID, &token.reveal()).await.expect(200);
    assert_eq!(own.json()["email"], "Ada@example.com");
    look(OTHER, &token.reveal())
        .await
        .expect_problem(404, "not_found");
    let stranger = TokenSecret::generate().unwrap().reveal();
    let refused = look(ID, &stranger).await;
    let refused = refused.expect_problem(401, "invalid_access_token");
    assert!(
        refused
            .header("www-authenticate")
            .is_some_and(|challenge| challenge.contains("invalid_token"))
    );
    look(ID, "nonsense")
        .await
        .expect_problem(403, "invalid_api_key");
}

#[tokio::test]
async fn every_bad_field_is_named_and_no_password_is_repeated() {
    let api = Desk::new().api();
    let body = json!({ "email": "ada", "password": "canary".repeat(50), "remember": true });
    let reply = post(&api, "/api/auth/login", &body).await;
    let reply = reply.expect_problem(422, "validation_error");
    assert_eq!(reply.pointers(), ["/email", "/password", "/remember"]);
    assert!(!reply.body.contains("canary"), "{}", reply.body);
    for path in ["/api/auth/refresh", "/api/auth/logout"] {
        let reply = post(&api, path, &json!({})).await;
        let reply = reply.expect_problem(422, "missing_required_field");
        assert_eq!(reply.pointers(), ["/refresh_token"]);
    }
}

#[tokio::test]
async fn trouble_is_not_taken_for_a_wrong_password() {
    for (error, status) in [(HashError::Overloaded, 503), (HashError::Failed, 500)] {
        let mut desk = Desk::new();
        desk.users.expect_credentials().returning(|_| Ok(None));
        desk.hasher
            .expect_verify()
            .returning(move |_, _| Err(error));
        let reply = log_in(&desk.api(), "ada@example.com", "any").await;
        reply.expect(status);
    }
    let mut desk = Desk::new();
    desk.users
        .expect_credentials()
        .returning(|_| Err(StoreError::Unavailable(None)));
    log_in(&desk.api(), "ada@example.com", "any")
        .await
        .expect_problem(503, "service_unavailable");
}

//! `/api-keys`, and what a key may use.

use std::sync::{Arc, Mutex};

use axum::{body::Body, http::Request};
use posthaste_domain::{
    clock::later,
    id::KeyId,
    key::{ApiKey, KeyHash, is_well_formed},
    owner::Scope,
    stores::{Accepted, NewApiKey, StoredApiKey},
};
use serde_json::{Value, json};

use crate::{
    desk::{Api, Desk, Reply, json as with_json, now, request},
    read,
    submit::{mail, mail_with},
};

fn owner() -> posthaste_domain::owner::Owner {
    "shop".parse().expect("an owner")
}

fn stored(id: KeyId, key: ApiKey) -> StoredApiKey {
    StoredApiKey {
        id,
        key,
        beginning: "re_ph_abcd".into(),
        created_at: now(),
        expires_at: None,
        last_used_at: None,
    }
}

/// What is stored for this request, and the answer.
async fn made(body: &Value) -> (NewApiKey, Value) {
    let seen = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&seen);
    let mut desk = Desk::new();
    desk.keys.expect_add().returning(move |key| {
        *kept.lock().expect("not poisoned") = Some(key);
        Ok(())
    });
    let reply = desk.api().post("/api-keys", body).await.expect(201);
    let seen = seen.lock().expect("not poisoned").take();
    (seen.expect("a key is stored"), reply.json())
}

#[tokio::test]
async fn a_key_is_shown_once_and_stored_as_a_hash() {
    let (stored, answer) = made(&json!({ "name": "shop", "permission": "sending_access" })).await;
    let token = answer["token"].as_str().expect("a token");
    assert!(is_well_formed(token), "{token}");
    assert_eq!(stored.hash, KeyHash::of(token));
    assert!(token.starts_with(&stored.beginning) && stored.beginning.len() == 10);
    assert_eq!(answer["id"], stored.id.to_string());
    assert_eq!(stored.key, ApiKey::new("shop", owner(), [Scope::Send]));
    let (stored, _) = made(&json!({
        "name": "reports", "scopes": ["read", "send"], "streams": ["otp"], "from_domains": ["ACME.com"],
        "expires_at": "2027-01-01T00:00:00Z",
    }))
    .await;
    let key = stored.key;
    assert_eq!(key.scopes, [Scope::Send, Scope::Read].into());
    assert_eq!(key.streams, Some(["otp".parse().expect("a stream")].into()));
    assert_eq!(key.from_domains, Some(["acme.com".to_owned()].into()));
    assert_eq!(
        stored.expires_at,
        Some("2027-01-01T00:00:00Z".parse().expect("a time"))
    );
    let (stored, _) = made(&json!({ "name": "all", "permission": "full_access" })).await;
    assert_eq!(stored.key.scopes, Scope::ALL.into());
}

#[tokio::test]
async fn what_is_wrong_with_a_key_is_told_at_once() {
    let check = async |body: Value, expected: &[&str]| {
        let reply = Desk::new().api().post("/api-keys", &body).await;
        assert_eq!(reply.expect(422).pointers(), expected, "{body}");
    };
    check(json!({}), &["/name"]).await;
    let bad = json!({
        "name": "", "scopes": ["send", "all"], "streams": [], "from_domains": ["a b"],
        "domain_id": "d", "expires_at": "2020-01-01T00:00:00Z", "expires": 1,
    });
    let all = [
        "/name",
        "/scopes/1",
        "/streams",
        "/from_domains/0",
        "/domain_id",
        "/expires_at",
        "/expires",
    ];
    check(bad, &all).await;
    check(
        json!({ "name": "x", "permission": "all" }),
        &["/permission"],
    )
    .await;
    check(json!({ "name": "x", "streams": ["bulk"] }), &["/streams/0"]).await;
    let both = json!({ "name": "x", "permission": "full_access", "scopes": ["send"] });
    check(both, &["/scopes"]).await;
}

/// A desk whose only stored key is this one; it and its text.
fn holding(key: ApiKey) -> (Desk, String, KeyId) {
    let text = posthaste_domain::key::KeySecret::generate().expect("random bytes");
    let (hash, id) = (KeyHash::of(text.reveal()), KeyId::new(now()));
    let mut desk = Desk::new();
    let found = stored(id, key);
    let listed = found.clone();
    desk.keys
        .expect_find()
        .returning(move |asked| Ok((asked == hash).then(|| found.clone())));
    desk.keys.expect_used().returning(|_, _| Ok(()));
    desk.keys.expect_keys().returning(move |owner| {
        let is_its = owner.as_ref() == Some(&listed.key.owner);
        Ok(is_its.then(|| listed.clone()).into_iter().collect())
    });
    desk.messages
        .expect_accept()
        .returning(|_, _| Ok(Accepted::Stored));
    (desk, text.reveal().to_owned(), id)
}

async fn send_as(api: &Api, key: &str, path: &str, body: &Value) -> Reply {
    let request = Request::post(path).header("Authorization", format!("Bearer {key}"));
    api.send(with_json(request, body.to_string())).await
}

#[tokio::test]
async fn a_stored_key_permits_what_it_says_and_nothing_more() {
    let key = ApiKey {
        streams: Some(["otp".parse().expect("a stream")].into()),
        from_domains: Some(["acme.com".to_owned()].into()),
        ..ApiKey::new("k", owner(), [Scope::Send, Scope::Admin])
    };
    let (mut desk, text, _) = holding(key);
    desk.messages
        .expect_message()
        .returning(|_, _| Ok(Some(read::stored(vec![], false))));
    let api = desk.api();
    let allowed = mail_with(&json!({ "stream": "otp", "from": "O <o@ACME.com>" }));
    send_as(&api, &text, "/emails", &allowed).await.expect(200);
    let stream = mail_with(&json!({ "from": "o@acme.com" }));
    let sender = mail_with(&json!({ "stream": "otp", "from": "o@sub.acme.com" }));
    for (body, status, name) in [
        (stream, 401, "restricted_api_key"),
        (sender, 403, "invalid_from_address"),
    ] {
        let reply = send_as(&api, &text, "/emails", &body).await;
        reply.expect_problem(status, name);
        let reply = send_as(&api, &text, "/emails/batch", &json!([allowed, body])).await;
        reply.expect_problem(status, name);
    }
    // Nor does it send again what it could not have sent.
    let path = format!("/emails/{}/resend", read::stored(vec![], false).message.id);
    let reply = send_as(&api, &text, &path, &json!({})).await;
    reply.expect_problem(401, "restricted_api_key");
    // It makes none that permit more: neither scopes, nor streams, nor domains.
    for (body, pointer) in [
        (
            json!({ "name": "x", "permission": "full_access" }),
            "/permission",
        ),
        (
            json!({ "name": "x", "scopes": ["send"], "streams": ["transactional"] }),
            "/streams/0",
        ),
        (
            json!({ "name": "x", "scopes": ["send"], "from_domains": ["b.c"] }),
            "/from_domains/0",
        ),
    ] {
        let reply = send_as(&api, &text, "/api-keys", &body).await;
        assert_eq!(reply.expect(422).pointers(), [pointer]);
    }
    let mut typed = text.clone();
    typed.pop();
    let reply = send_as(&api, &format!("{typed}?"), "/emails", &allowed).await;
    reply.expect_problem(403, "invalid_api_key");
}

#[tokio::test]
async fn a_key_is_not_replaced_by_one_that_permits_less() {
    let (desk, _, id) = holding(ApiKey::new("full", owner(), Scope::ALL));
    let mut desk = desk;
    desk.keys
        .expect_replace()
        .returning(|_, _, next| Ok(Some(later(next.at, next.overlap))));
    let api = desk.api();
    let path = format!("/api-keys/{id}/rotate");
    let reply = api
        .post(&path, &json!({ "overlap_seconds": 60 }))
        .await
        .expect(200)
        .json();
    assert_eq!(reply["previous_expires_at"], "2026-12-01T09:01:00.000Z");
    assert!(is_well_formed(reply["token"].as_str().expect("a token")));
    let empty = request("POST", &path)
        .body(Body::empty())
        .expect("a request");
    let reply = api.send(empty).await.expect(200).json();
    assert_eq!(reply["previous_expires_at"], "2026-12-02T09:00:00.000Z");
    let long = json!({ "overlap_seconds": 604_801 });
    assert_eq!(
        api.post(&path, &long).await.expect(422).pointers(),
        ["/overlap_seconds"]
    );
    let missing = format!("/api-keys/{}/rotate", KeyId::new(now()));
    api.post(&missing, &json!({}))
        .await
        .expect_problem(404, "not_found");
    // One of fewer scopes gets no token of more.
    let (desk, text, id) = holding(ApiKey::new("k", owner(), [Scope::Admin]));
    let mut desk = desk;
    let full = stored(id, ApiKey::new("full", owner(), Scope::ALL));
    desk.keys.checkpoint();
    let own = stored(KeyId::new(now()), ApiKey::new("k", owner(), [Scope::Admin]));
    desk.keys
        .expect_find()
        .returning(move |_| Ok(Some(own.clone())));
    desk.keys.expect_used().returning(|_, _| Ok(()));
    desk.keys
        .expect_keys()
        .returning(move |_| Ok(vec![full.clone()]));
    let path = format!("/api-keys/{id}/rotate");
    let reply = send_as(&desk.api(), &text, &path, &json!({})).await;
    reply.expect_problem(401, "restricted_api_key");
}

#[tokio::test]
async fn keys_are_listed_without_their_texts_and_removed() {
    let (mut desk, text, id) = holding(ApiKey::new("shop", owner(), [Scope::Send]));
    desk.keys
        .expect_remove()
        .returning(move |owner, asked| Ok(owner.as_str() == "shop" && asked == id));
    let api = desk.api();
    let list = api.get("/api-keys").await.expect(200);
    assert!(!list.body.contains(&text));
    let key = &list.json()["data"][0];
    assert_eq!(
        (&key["name"], &key["beginning"]),
        (&json!("shop"), &json!("re_ph_abcd"))
    );
    assert_eq!(
        (&key["scopes"], &key["last_used_at"]),
        (&json!(["send"]), &Value::Null)
    );
    let remove = async |id: String| {
        let request = request("DELETE", &format!("/api-keys/{id}")).body(Body::from("{}"));
        api.send(request.expect("a request")).await
    };
    let gone = remove(id.to_string()).await.expect(200).json();
    assert_eq!(
        gone,
        json!({ "object": "api_key", "id": id.to_string(), "deleted": true })
    );
    for missing in [KeyId::new(now()).to_string(), "x".to_owned()] {
        remove(missing).await.expect_problem(404, "not_found");
    }
    for path in ["/api-keys", "/emails"] {
        let reply = send_as(&api, "re_send", path, &mail()).await;
        if path == "/api-keys" {
            reply.expect_problem(401, "restricted_api_key");
        } else {
            reply.expect(200);
        }
    }
}

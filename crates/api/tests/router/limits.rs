//! Bounds of size, memory and time.

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::body::Body;
use futures_util::FutureExt;
use posthaste_domain::{
    id::MessageId,
    idempotency::{Answer, Idempotency, Keyed},
    message::NewMessage,
    owner::Owner,
    stores::{Accepted, MessageStore, OutgoingMessage, StoreError, StoredDelivery, StoredMessage},
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    desk::{Desk, json, request},
    submit::{mail, mail_with},
};

/// A store that says when it was handed a message, and stores it when told to.
#[derive(Debug)]
struct Slow {
    begun: Semaphore,
    go_on: Semaphore,
}

impl Slow {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Semaphore::new(0),
            go_on: Semaphore::new(0),
        })
    }

    async fn has_begun(&self) {
        self.begun.acquire().await.expect("never closed").forget();
    }
}

#[async_trait]
impl MessageStore for Slow {
    async fn accept(&self, _: NewMessage, _: Option<Keyed>) -> Result<Accepted, StoreError> {
        self.begun.add_permits(1);
        self.go_on.acquire().await.expect("never closed").forget();
        Ok(Accepted::Stored)
    }

    async fn accept_all(
        &self,
        _: Vec<NewMessage>,
        _: Option<Keyed>,
    ) -> Result<Accepted, StoreError> {
        unreachable!("no batch is sent here")
    }

    async fn answered(&self, _: &Owner, _: &Idempotency) -> Result<Option<Answer>, StoreError> {
        Ok(None)
    }

    async fn spill(&self, _: NewMessage, _: Duration) -> Result<(), StoreError> {
        Ok(())
    }

    async fn message(&self, _: &Owner, _: MessageId) -> Result<Option<StoredMessage>, StoreError> {
        Ok(None)
    }

    async fn deliveries(
        &self,
        _: &Owner,
        _: MessageId,
    ) -> Result<Option<Vec<StoredDelivery>>, StoreError> {
        Ok(None)
    }

    async fn outgoing(&self, _: MessageId) -> Result<Option<OutgoingMessage>, StoreError> {
        Ok(None)
    }
}

/// A body whose bytes never come.
fn never() -> Body {
    let bytes = std::future::pending::<Result<&str, Infallible>>();
    Body::from_stream(bytes.into_stream())
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_its_declared_length_already() {
    let mut desk = Desk::new();
    desk.limits.body = 1000;
    let request = request("POST", "/emails").header("Content-Length", "1001");
    // Were it read, this body would break the test: it never comes.
    let reply = desk.api().send(json(request, never())).await;
    reply.expect_problem(413, "payload_too_large");
}

#[tokio::test]
async fn a_body_of_undeclared_length_is_refused_where_it_passes_the_limit() {
    let body = mail_with(&serde_json::json!({ "text": "x".repeat(1000) }));
    let mut desk = Desk::new();
    desk.limits.body = 1000;
    let reply = desk.api().post("/emails", &body).await;
    reply.expect_problem(413, "payload_too_large");
}

#[tokio::test]
async fn a_body_with_a_crowd_of_values_is_refused() {
    let body = format!("[{}0]", "0,".repeat(10_000));
    let reply = Desk::new()
        .api()
        .send(json(request("POST", "/emails"), body))
        .await;
    reply.expect_problem(413, "payload_too_large");
}

#[tokio::test]
async fn bodies_share_one_budget_and_give_it_back() {
    let store = Slow::new();
    let mut desk = Desk::new();
    desk.limits.bodies_in_flight = 1500;
    let (api, _) = desk.api_on(Arc::<Slow>::clone(&store));
    let body = mail_with(&serde_json::json!({ "text": "x".repeat(1000) }));
    let mut first = JoinSet::new();
    let (busy, sent) = (api.clone(), body.clone());
    first.spawn(async move { busy.post("/emails", &sent).await });
    store.has_begun().await;

    let reply = api
        .post("/emails", &body)
        .await
        .expect_problem(503, "service_unavailable");
    assert_eq!(reply.header("retry-after"), Some("1"));
    let declared = request("POST", "/emails").header("Content-Length", "1000");
    let reply = api.send(json(declared, never())).await;
    reply.expect_problem(503, "service_unavailable");
    // What has no body still goes through.
    api.get("/livez").await.expect(200);

    store.go_on.add_permits(2);
    first.join_next().await.unwrap().unwrap().expect(200);
    api.post("/emails", &body).await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_told_what_settles_it() {
    let (api, _) = Desk::new().api_on(Slow::new());
    let begun = tokio::time::Instant::now();
    let reply = api
        .post("/emails", &mail())
        .await
        .expect_problem(503, "service_unavailable");
    assert_eq!(begun.elapsed(), Duration::from_secs(30));
    assert!(
        reply.json()["detail"]
            .as_str()
            .unwrap()
            .contains("Idempotency-Key")
    );
    assert_eq!(reply.header("retry-after"), Some("5"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_not_waited_for() {
    let reply = Desk::new()
        .api()
        .send(json(request("POST", "/emails"), never()))
        .await;
    reply.expect_problem(503, "service_unavailable");
}

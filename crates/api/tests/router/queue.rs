//! `/queue`, and taking mail back: on a queue in memory, which is as real as any.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, http::Request};
use posthaste_domain::delivery::DeliveryState;
use posthaste_queue::{
    BootId, ClaimRequest, ClaimedJob, JobId, Lane, LaneDemand, MemoryQueue, NewJob, Queue,
    Settlement, SharedLimits, Verdict,
};
use serde_json::json;

use crate::{
    desk::{Api, Desk, SEND_KEY},
    read::{ID, stored},
};

fn lane() -> Lane {
    "transactional".parse().expect("a lane")
}

fn job(id: JobId) -> NewJob {
    NewJob {
        id,
        lane: lane(),
        kind: "send_email".into(),
        payload: "{\"message\":1}".into(),
        delay: Duration::ZERO,
        tenant: "shop".into(),
        expires_in: None,
        unique: None,
    }
}

fn numbered(number: u128) -> JobId {
    format!("{number:032x}").parse().expect("an id")
}

async fn claim(queue: &MemoryQueue<()>, boot: BootId) -> ClaimedJob {
    let demand = LaneDemand {
        lane: lane(),
        limit: 1,
        shared: SharedLimits::default(),
    };
    let request = ClaimRequest {
        boot,
        lanes: vec![demand],
    };
    let claimed = queue.claim(request).await.expect("an answer");
    claimed.jobs.into_iter().next().expect("a ready job")
}

/// An API whose queue has these many dead jobs.
async fn with_dead(count: u128) -> (Api, Arc<MemoryQueue<()>>) {
    let desk = Desk::new();
    let queue = Arc::clone(&desk.operator);
    for number in 1..=count {
        queue
            .push(vec![job(numbered(number))])
            .await
            .expect("stored");
        let claimed = claim(&queue, BootId::random()).await;
        let verdict = Verdict::Dead {
            reason: "beyond help".into(),
        };
        let settlement = Settlement {
            lease: claimed.lease,
            verdict,
            effects: None,
        };
        queue.settle(Arc::new([settlement])).await.expect("settled");
    }
    (desk.api(), queue)
}

#[tokio::test]
async fn streams_are_shown_paused_and_resumed() {
    let desk = Desk::new();
    let queue = Arc::clone(&desk.operator);
    queue.push(vec![job(numbered(1))]).await.expect("stored");
    let api = desk.api();
    let paused = api.post("/queue/streams/transactional/pause", &json!(null));
    let expected =
        json!({"object": "stream", "name": "transactional", "paused": true, "lagging": []});
    assert_eq!(paused.await.expect(200).json(), expected);
    let shown = api.get("/queue").await.expect(200).json();
    assert_eq!(shown["object"], "list");
    let names: Vec<_> = shown["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| &s["name"])
        .collect();
    assert_eq!(
        names,
        ["otp", "transactional"],
        "idle streams are shown too"
    );
    let stream = &shown["data"][1];
    assert_eq!(
        (&stream["paused"], &stream["ready"]),
        (&json!(true), &json!(1))
    );
    api.post("/queue/streams/transactional/resume", &json!(null))
        .await
        .expect(200);
    let shown = api.get("/queue").await.expect(200).json();
    assert_eq!(shown["data"][1]["paused"], false);
    let unknown = api.post("/queue/streams/nowhere/pause", &json!(null));
    unknown.await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn dead_jobs_are_listed_page_by_page() {
    let (api, _) = with_dead(3).await;
    let first = api.get("/queue/dead?limit=2").await.expect(200).json();
    assert_eq!(
        (&first["has_more"], first["data"].as_array().map(Vec::len)),
        (&json!(true), Some(2))
    );
    let dead = &first["data"][0];
    assert_eq!(
        (
            &dead["reason"],
            &dead["cause"],
            &dead["stream"],
            &dead["payload"]
        ),
        (
            &json!("beyond help"),
            &json!("dead"),
            &json!("transactional"),
            &json!({"message": 1})
        )
    );
    let last = first["data"][1]["id"].as_str().expect("an id");
    let second = api
        .get(&format!("/queue/dead?limit=2&after={last}"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&second["has_more"], second["data"].as_array().map(Vec::len)),
        (&json!(false), Some(1))
    );
    for query in [
        "cause=odd",
        "limit=0",
        "limit=101",
        "after=x",
        "stream=%00",
        "tenant=x",
        "limit=x",
    ] {
        let refused = api.get(&format!("/queue/dead?{query}")).await;
        refused.expect_problem(422, "validation_error");
    }
}

#[tokio::test]
async fn a_page_behind_a_job_that_is_gone_is_refused_not_empty() {
    let (api, _) = with_dead(3).await;
    let first = api.get("/queue/dead?limit=1").await.expect(200).json();
    let last = first["data"][0]["id"].as_str().expect("an id");
    api.post(&format!("/queue/dead/{last}/drop"), &json!(null))
        .await
        .expect(200);
    let behind = api.get(&format!("/queue/dead?limit=1&after={last}")).await;
    behind.expect_problem(422, "validation_error");
}

#[tokio::test]
async fn dead_jobs_are_put_back_or_dropped_singly_or_by_filter() {
    let (api, queue) = with_dead(4).await;
    let one = |what: &str| format!("/queue/dead/{}/{what}", numbered(1));
    let post = async |path: &str| api.post(path, &json!(null)).await;
    let counted = |count| json!({"object": "dead_jobs", "count": count});
    assert_eq!(post(&one("retry")).await.expect(200).json(), counted(1));
    assert_eq!(queue.jobs().len(), 1);
    post(&one("retry")).await.expect_problem(404, "not_found");
    post(&one("drop")).await.expect_problem(404, "not_found");
    post("/queue/dead/odd/drop")
        .await
        .expect_problem(404, "not_found");
    let two = format!("/queue/dead/{}/drop", numbered(2));
    assert_eq!(post(&two).await.expect(200).json(), counted(1));
    // Everything only where that was said.
    for path in [
        "/queue/dead/drop",
        "/queue/dead/retry",
        "/queue/dead/drop?all=false",
    ] {
        post(path)
            .await
            .expect_problem(422, "missing_required_field");
    }
    assert_eq!(queue.dead().len(), 2);
    let none = post("/queue/dead/drop?owner=other").await;
    assert_eq!(none.expect(200).json(), counted(0));
    let filtered = post("/queue/dead/retry?stream=transactional&cause=dead").await;
    assert_eq!(filtered.expect(200).json(), counted(2));
    assert_eq!((queue.jobs().len(), queue.dead().len()), (3, 0));
}

#[tokio::test]
async fn the_queue_is_for_operators() {
    let (api, _) = with_dead(1).await;
    for (method, path) in [
        ("GET", "/queue".to_owned()),
        ("GET", "/queue/dead".to_owned()),
        ("POST", "/queue/streams/transactional/pause".to_owned()),
        ("POST", "/queue/streams/transactional/resume".to_owned()),
        ("POST", "/queue/dead/drop?all=true".to_owned()),
        ("POST", "/queue/dead/retry?all=true".to_owned()),
        ("POST", format!("/queue/dead/{}/retry", numbered(1))),
        ("POST", format!("/queue/dead/{}/drop", numbered(1))),
    ] {
        let request = Request::builder().method(method).uri(&path);
        let with = |key| {
            Request::builder()
                .method(method)
                .uri(&path)
                .header("Authorization", format!("Bearer {key}"))
        };
        let none = api
            .send(request.body(Body::empty()).expect("a request"))
            .await;
        none.expect_problem(401, "missing_api_key");
        let other = api
            .send(with(SEND_KEY).body(Body::empty()).expect("a request"))
            .await;
        other.expect_problem(401, "restricted_api_key");
    }
}

fn mail_of(states: &'static [DeliveryState]) -> Desk {
    let mut desk = Desk::new();
    desk.messages.expect_message().returning(|owner, id| {
        let mine = owner.as_str() == "shop" && id.to_string() == ID;
        Ok(mine.then(|| stored(states.to_vec(), false)))
    });
    desk
}

#[tokio::test]
async fn a_mail_is_cancelled_unless_a_worker_has_it() {
    let path = format!("/emails/{ID}/cancel");
    let desk = mail_of(&[DeliveryState::Queued]);
    let queue = Arc::clone(&desk.operator);
    queue
        .push(vec![job(ID.parse().expect("an id"))])
        .await
        .expect("stored");
    let boot = BootId::random();
    claim(&queue, boot).await;
    let api = desk.api();
    let locked = api.post(&path, &json!(null)).await;
    assert_eq!(locked.headers["retry-after"], "1");
    locked.expect_problem(409, "resource_locked");
    queue.leave(boot).await.expect("left");
    let cancelled = api.post(&path, &json!(null)).await.expect(200).json();
    assert_eq!(cancelled, json!({"object": "email", "id": ID}));
    assert!(queue.jobs().is_empty());
    let other = format!("/emails/{}/cancel", numbered(9));
    api.post(&other, &json!(null))
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_mail_that_has_ended_can_not_be_cancelled() {
    let path = format!("/emails/{ID}/cancel");
    let twice = mail_of(&[DeliveryState::Cancelled]).api();
    twice.post(&path, &json!(null)).await.expect(200);
    let delivered = mail_of(&[DeliveryState::Delivered]).api();
    let refused = delivered.post(&path, &json!(null)).await;
    assert!(
        refused.json()["detail"]
            .as_str()
            .expect("words")
            .contains("delivered")
    );
    refused.expect_problem(422, "validation_error");
}

//! Hints between nodes on PostgreSQL, as they go over the wire. That workers look at once is shown on the real binary
//! (`tests/e2e/nodes.rs`).

use std::{collections::BTreeSet, time::Duration};

use posthaste_queue::{JobId, NewJob, Queue};
use sea_orm::sqlx::postgres::PgListener;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::town::Town;

fn job(lane: &str) -> NewJob {
    NewJob {
        id: JobId::from_uuid(Uuid::new_v4()),
        lane: lane.parse().expect("a lane"),
        kind: "case".into(),
        payload: "{}".into(),
        delay: Duration::ZERO,
        tenant: String::new(),
        unique: None,
        expires_in: None,
    }
}

async fn listening(town: &Town) -> PgListener {
    let mut listener = PgListener::connect(town.url())
        .await
        .expect("the server answers");
    let listens = listener.listen("posthaste_work").await;
    listens.expect("the server takes listeners");
    listener
}

/// The lanes of the next hint, behind the node that sent it.
async fn heard(listener: &mut PgListener) -> Vec<String> {
    let hint = timeout(Duration::from_secs(10), listener.recv()).await;
    let hint = hint.expect("a hint comes").expect("the server answers");
    hint.payload().lines().skip(1).map(str::to_owned).collect()
}

/// I37. Whatever there is to tell is told, and at most twenty times a second.
#[tokio::test]
async fn hints_are_coalesced_and_the_last_one_is_not_lost() {
    let Some(town) = Town::new().await else {
        return;
    };
    let node = town.node().await;
    let mut listener = listening(&town).await;
    let began = Instant::now();
    for number in 0..300 {
        node.push(vec![job(&format!("lane {number}"))])
            .await
            .unwrap();
    }
    node.push(vec![job("the last")]).await.unwrap();
    let (mut lanes, mut hints) = (BTreeSet::new(), 0_u32);
    while !lanes.contains("the last") {
        lanes.extend(heard(&mut listener).await);
        hints += 1;
    }
    let most = began.elapsed().as_millis() / 50 + 1;
    assert!(
        u128::from(hints) <= most,
        "{hints} hints where {most} may be"
    );
    assert_eq!(lanes.len(), 301, "each lane is named");
}

/// I37. The listening end of a database that lost it is not the sender's business: the next hint is sent anew.
#[tokio::test]
async fn a_sender_whose_connection_was_ended_sends_the_next_hint() {
    let Some(town) = Town::new().await else {
        return;
    };
    let node = town.node().await;
    let mut listener = listening(&town).await;
    node.push(vec![job("before")]).await.unwrap();
    assert_eq!(heard(&mut listener).await, ["before"]);
    let outside = town.outside().await;
    let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
         WHERE datname = current_database() AND query LIKE '%pg_notify%' AND pid <> pg_backend_pid()";
    sea_orm::ConnectionTrait::execute_unprepared(&outside, end)
        .await
        .unwrap();
    // The pool may find the connection gone before or while it is used: one hint may be lost, not two.
    node.push(vec![job("between")]).await.unwrap();
    node.push(vec![job("after")]).await.unwrap();
    let (mut lanes, mut losses) = (Vec::new(), 0);
    while !lanes.contains(&"after".to_owned()) {
        let told = timeout(Duration::from_secs(1), heard(&mut listener)).await;
        match told {
            Ok(more) => lanes.extend(more),
            Err(_lost) => {
                losses += 1;
                assert!(losses < 5, "no hint comes any more");
                node.push(vec![job("after")]).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_node_without_hints_sends_none() {
    let Some(town) = Town::new().await else {
        return;
    };
    let clock = std::sync::Arc::new(posthaste_domain::clock::SystemClock);
    let quiet = town.node_with(clock, |config| config.hints = false).await;
    let node = town.node().await;
    let mut listener = listening(&town).await;
    quiet.push(vec![job("unheard")]).await.unwrap();
    node.push(vec![job("heard")]).await.unwrap();
    assert_eq!(heard(&mut listener).await, ["heard"]);
}

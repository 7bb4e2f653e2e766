//! What the writer owes its callers when something goes wrong, or is too much.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use posthaste_domain::stores::{Accepted, MessageStore, StoreError};
use posthaste_queue::{BootId, JobId, Lane, NewJob, Pushed, Queue, Settled, Settlement, Verdict};
use posthaste_store::SendEmail;
use sea_orm::ConnectionTrait;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Bench, Outsider, message, owner};

/// I26. If one command of a batch breaks a constraint, it fails alone.
#[tokio::test]
async fn only_the_guilty_command_of_a_batch_fails() {
    let bench = Bench::new().await;
    let guilty = bench.message(&["twice@example.com"]);
    bench.store.accept(guilty.clone(), None).await.unwrap();
    // While an outsider holds the lock, all of them gather into one batch.
    let outsider = Outsider::lock(&bench).await;
    let mut submits = JoinSet::new();
    for number in 0..30 {
        let mine = bench.message(&[&format!("user{number}@example.com")]);
        let mine = if number == 15 { guilty.clone() } else { mine };
        let store = Arc::clone(&bench.store);
        submits.spawn(async move { (mine.id, store.accept(mine, None).await) });
    }
    outsider.release().await;
    let mut failed = Vec::new();
    for (id, outcome) in submits.join_all().await {
        match outcome {
            Ok(accepted) => assert_eq!(accepted, Accepted::Stored),
            Err(_) => failed.push(id),
        }
    }
    assert_eq!(failed, [guilty.id]);
    assert!(
        bench
            .store
            .message(&owner(), guilty.id)
            .await
            .unwrap()
            .is_some(),
        "the first one stands"
    );
}

/// Callers whose jobs are written together each hear of their own.
#[tokio::test]
async fn of_jobs_pushed_under_one_id_at_the_same_time_one_is_stored() {
    let bench = Bench::new().await;
    let lane: Lane = "transactional".parse().unwrap();
    let job = move |number: u128| {
        let id = JobId::from_uuid(Uuid::from_u128(number));
        let job = SendEmail {
            message: Uuid::from_u128(number),
        };
        NewJob::of(id, lane.clone(), &job).unwrap()
    };
    let outsider = Outsider::lock(&bench).await;
    let mut callers = JoinSet::new();
    for number in 1..=30 {
        let store = Arc::clone(&bench.store);
        let jobs = vec![job(1000), job(number), job(number)];
        callers.spawn(async move { store.push(jobs).await.unwrap() });
    }
    outsider.release().await;
    let answers = callers.join_all().await;
    for answer in &answers {
        assert_eq!(answer[1..], [Pushed::Stored, Pushed::Known]);
    }
    let shared = answers.iter().filter(|answer| answer[0] == Pushed::Stored);
    assert_eq!(shared.count(), 1, "one of them was the first");
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    assert_eq!(bench.claim(boot, 100).await.len(), 31);
}

/// A server ends connections when it likes; between two transactions nobody has to hear of it.
#[tokio::test]
async fn a_writing_connection_that_the_server_has_ended_costs_no_submit() {
    let bench = Bench::new().await;
    if !bench.is_on_a_server() {
        return;
    }
    let first = bench.message(&["ada@example.com"]);
    bench.store.accept(first, None).await.unwrap();
    let outside = bench.connect().await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let ended = outside.execute_unprepared(end).await;
    ended.expect("a server may end its connections");
    let second = bench.message(&["ada@example.com"]);
    let accepted = bench.store.accept(second, None).await;
    assert_eq!(accepted.unwrap(), Accepted::Stored);
}

/// I31. A caller that hangs up leaves its message stored whole or not at all.
#[tokio::test]
async fn a_caller_that_hangs_up_leaves_nothing_half_stored() {
    let bench = Bench::new().await;
    let mut messages = Vec::new();
    for number in 0..60 {
        let mine = bench.message(&["ada@example.com", "bob@example.com"]);
        messages.push(mine.id);
        let mut submits = JoinSet::new();
        let store = Arc::clone(&bench.store);
        submits.spawn(async move { store.accept(mine, None).await });
        for _ in 0..number % 6 {
            tokio::task::yield_now().await;
        }
        submits.abort_all();
    }
    // Written behind all of them.
    bench
        .store
        .accept(bench.message(&["last@example.com"]), None)
        .await
        .unwrap();
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    let mut jobs: Vec<_> = bench
        .claim(boot, 100)
        .await
        .into_iter()
        .map(|job| job.meta.id.as_uuid())
        .collect();
    jobs.pop();
    let mut stored = Vec::new();
    for id in messages {
        if let Some(message) = bench.store.message(&owner(), id).await.unwrap() {
            assert_eq!(message.states.len(), 2);
            stored.push(id.as_uuid());
        }
    }
    stored.sort_unstable();
    assert_eq!(
        stored, jobs,
        "each message has its job and its deliveries, and each job its message"
    );
}

/// I33. Ends of jobs go before submits that were there first.
#[tokio::test]
async fn a_flood_of_submits_does_not_hold_up_the_end_of_a_job() {
    const FLOOD: usize = 300;
    let bench = Bench::with(|config| config.batch = 1).await;
    bench
        .store
        .accept(bench.message(&["ada@example.com"]), None)
        .await
        .unwrap();
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    let job = bench.claim(boot, 1).await.remove(0);
    let outsider = Outsider::lock(&bench).await;
    let done = Arc::new(AtomicUsize::new(0));
    let mut submits = JoinSet::new();
    for _ in 0..FLOOD {
        let (store, mine, done) = (
            Arc::clone(&bench.store),
            bench.message(&["bob@example.com"]),
            Arc::clone(&done),
        );
        submits.spawn(async move {
            store.accept(mine, None).await.unwrap();
            done.fetch_add(1, Ordering::SeqCst);
        });
    }
    // Every submit gets as far as the writer's queue.
    for _ in 0..FLOOD {
        tokio::task::yield_now().await;
    }
    let batch = [Settlement {
        lease: job.lease,
        verdict: Verdict::Done,
        effects: None,
    }];
    let settled = async { bench.store.settle(Arc::new(batch)).await.unwrap() };
    let (settled, ()) = tokio::join!(settled, outsider.release());
    assert_eq!(settled, [Settled::Applied]);
    let before = done.load(Ordering::SeqCst);
    assert!(
        before < FLOOD / 2,
        "{before} of {FLOOD} submits were written first"
    );
    submits.join_all().await;
}

/// I34, P7. Submits that wait are bounded in bytes: beyond that they are refused, and later taken again.
#[tokio::test]
async fn submits_that_wait_are_bounded_in_bytes() {
    let bench = Bench::with(|config| config.intake_bytes = 8000).await;
    let large = || {
        let mut large = bench.message(&["ada@example.com"]);
        large.metadata.insert("filler".into(), "x".repeat(5000));
        large
    };
    let outsider = Outsider::lock(&bench).await;
    let store = Arc::clone(&bench.store);
    let first = large();
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { store.accept(first, None).await });
    tokio::task::yield_now().await;
    let refused = bench.store.accept(large(), None).await;
    assert!(
        matches!(refused, Err(StoreError::Overloaded)),
        "{refused:?}"
    );
    outsider.release().await;
    assert_eq!(
        waiting.join_next().await.unwrap().unwrap().unwrap(),
        Accepted::Stored
    );
    assert_eq!(
        bench.store.accept(large(), None).await.unwrap(),
        Accepted::Stored
    );
    let mut huge = message(bench.message(&["x@y.z"]).created_at, &["ada@example.com"]);
    huge.metadata.insert("filler".into(), "x".repeat(50_000));
    assert_eq!(
        bench.store.accept(huge, None).await.unwrap(),
        Accepted::Stored,
        "one larger than all room enters alone"
    );
}

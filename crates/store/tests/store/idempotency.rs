//! Idempotency keys: of all submits under one key one is stored, and the others get its answer.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use posthaste_domain::{
    idempotency::{Answer, Idempotency, Keyed},
    message::NewMessage,
    stores::{Accepted, MessageStore},
};
use posthaste_queue::{BootId, Queue};
use sea_orm::ConnectionTrait;
use tokio::{task::JoinSet, time::Instant};

use crate::support::{Bench, Outsider, config, owner};

const SECOND: Duration = Duration::from_secs(1);

fn request(key: &str, fingerprint: u8) -> Idempotency {
    Idempotency {
        route: "POST /emails".into(),
        key: key.parse().expect("a valid key"),
        fingerprint: [fingerprint; 32],
    }
}

/// An answer that tells which message it was about.
fn answer(message: &NewMessage) -> Answer {
    Answer {
        status: 202,
        body: format!("{{\"told of\":\"{}\"}}", message.id),
    }
}

/// A message, and the request under `key` that it comes by.
fn keyed(bench: &Bench, key: &str, fingerprint: u8) -> (NewMessage, Option<Keyed>) {
    let message = bench.message(&["ada@example.com"]);
    let keyed = Keyed {
        request: request(key, fingerprint),
        answer: answer(&message),
    };
    (message, Some(keyed))
}

pub(crate) async fn submit(bench: &Bench, key: &str, fingerprint: u8) -> Accepted {
    let (message, keyed) = keyed(bench, key, fingerprint);
    bench
        .store
        .accept(message, keyed)
        .await
        .expect("the store takes it")
}

/// Two hundred at once to these stores in turn: one is stored, the others are told the answer that was given for it.
async fn crowd(bench: &Bench, stores: &[Arc<posthaste_store::Store>]) {
    let mut submits = JoinSet::new();
    for number in 0..200 {
        let store = Arc::clone(&stores[number % stores.len()]);
        let (message, keyed) = keyed(bench, "order-42", 1);
        submits.spawn(async move {
            let told = answer(&message);
            (
                told,
                store
                    .accept(message, keyed)
                    .await
                    .expect("the store takes it"),
            )
        });
    }
    let ended = submits.join_all().await;
    let stored: Vec<_> = ended
        .iter()
        .filter(|(_, accepted)| *accepted == Accepted::Stored)
        .map(|(told, _)| told.clone())
        .collect();
    assert_eq!(stored.len(), 1, "{stored:?}");
    let others: BTreeSet<_> = ended
        .into_iter()
        .filter(|(_, accepted)| *accepted != Accepted::Stored)
        .map(|(_, accepted)| format!("{accepted:?}"))
        .collect();
    let replayed = format!("{:?}", Accepted::Replayed(stored[0].clone()));
    assert_eq!(others, BTreeSet::from([replayed]));
    let boot = BootId::random();
    bench.store.join(boot).await.expect("the node joins");
    let jobs = bench.claim(boot, 300).await;
    assert_eq!(jobs.len(), 1, "one message, one job");
}

/// I28, R21.
#[tokio::test]
async fn of_many_submits_under_one_key_one_is_stored_and_the_others_get_its_answer() {
    let bench = Bench::new().await;
    crowd(&bench, &[Arc::clone(&bench.store)]).await;
}

/// I28, R21. On two nodes.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_submits_on_two_nodes_one_is_stored_and_the_others_get_its_answer() {
    let bench = Bench::new().await;
    let Some(peer) = bench.peer().await else {
        return;
    };
    crowd(&bench, &[Arc::clone(&bench.store), peer]).await;
}

/// R21.
#[tokio::test]
async fn a_key_stands_for_one_request_of_one_owner_and_route() {
    let bench = Bench::new().await;
    assert_eq!(submit(&bench, "k", 1).await, Accepted::Stored);
    assert_eq!(submit(&bench, "k", 2).await, Accepted::KeyReused);
    assert_eq!(submit(&bench, "other", 2).await, Accepted::Stored);
    let (message, mut elsewhere) = keyed(&bench, "k", 2);
    elsewhere.as_mut().unwrap().request.route = "POST /elsewhere".into();
    let accepted = bench.store.accept(message, elsewhere).await;
    assert_eq!(accepted.unwrap(), Accepted::Stored);
    let (mut foreign, key) = keyed(&bench, "k", 2);
    foreign.owner = "stranger".parse().unwrap();
    let accepted = bench.store.accept(foreign, key).await;
    assert_eq!(accepted.unwrap(), Accepted::Stored);
}

/// R21. The time of a key ends by itself, whether or not old keys are removed.
#[tokio::test]
async fn a_key_is_free_again_once_its_time_is_over_and_not_before() {
    let bench = Bench::new().await;
    let (first, key) = keyed(&bench, "k", 1);
    let told = Accepted::Replayed(answer(&first));
    bench.store.accept(first, key).await.unwrap();
    bench.advance(86_400 * SECOND - 60 * SECOND).await;
    assert_eq!(submit(&bench, "k", 1).await, told);
    assert_eq!(submit(&bench, "k", 2).await, Accepted::KeyReused);
    bench.advance(60 * SECOND).await;
    let answered = bench.store.answered(&owner(), &request("k", 1)).await;
    assert_eq!(answered.unwrap(), None);
    let (second, key) = keyed(&bench, "k", 2);
    let told = Accepted::Replayed(answer(&second));
    assert_eq!(
        bench.store.accept(second, key).await.unwrap(),
        Accepted::Stored
    );
    assert_eq!(submit(&bench, "k", 2).await, told);
    assert_eq!(submit(&bench, "k", 1).await, Accepted::KeyReused);
}

#[tokio::test]
async fn the_answer_to_a_request_is_found_without_a_message() {
    let bench = Bench::new().await;
    let (message, key) = keyed(&bench, "k", 1);
    let told = answer(&message);
    let answered = async |owner: &str, fingerprint| {
        let (owner, request) = (owner.parse().unwrap(), request("k", fingerprint));
        bench.store.answered(&owner, &request).await.unwrap()
    };
    assert_eq!(answered("acme", 1).await, None);
    bench.store.accept(message, key).await.unwrap();
    assert_eq!(answered("acme", 1).await, Some(told));
    assert_eq!(answered("acme", 2).await, None);
    assert_eq!(answered("stranger", 1).await, None);
}

#[tokio::test]
async fn a_submit_that_was_not_stored_leaves_its_key_free() {
    let bench = Bench::new().await;
    let message = bench.message(&["ada@example.com"]);
    bench.store.accept(message.clone(), None).await.unwrap();
    let (_, key) = keyed(&bench, "k", 1);
    // Its id is taken: the batch is rolled back.
    bench.store.accept(message, key).await.unwrap_err();
    assert_eq!(submit(&bench, "k", 2).await, Accepted::Stored);
}

/// Keys that a release without stored answers has left are answered as it did.
#[tokio::test]
async fn a_key_without_an_answer_is_answered_by_its_message() {
    let bench = Bench::new().await;
    let (message, key) = keyed(&bench, "k", 1);
    let id = message.id;
    bench.store.accept(message, key).await.unwrap();
    let forgotten = "UPDATE idempotency_keys SET answer_status = NULL, answer_body = NULL";
    let outside = bench.connect().await;
    outside.execute_unprepared(forgotten).await.unwrap();
    let told = Answer {
        status: 200,
        body: format!("{{\"id\":\"{id}\"}}"),
    };
    assert_eq!(submit(&bench, "k", 1).await, Accepted::Replayed(told));
}

/// R21.
#[tokio::test]
async fn a_submit_waits_for_the_first_under_its_key_and_shares_its_end() {
    let bench = Bench::new().await;
    let outsider = Outsider::lock(&bench).await;
    let (message, key) = keyed(&bench, "k", 1);
    let told = answer(&message);
    let (first, same, other, ()) = tokio::join!(
        bench.store.accept(message, key),
        submit(&bench, "k", 1),
        submit(&bench, "k", 2),
        outsider.release()
    );
    assert_eq!(first.unwrap(), Accepted::Stored);
    assert_eq!(same, Accepted::Replayed(told));
    assert_eq!(other, Accepted::KeyReused);
}

/// R21. It does not wait for ever.
#[tokio::test]
async fn after_five_seconds_a_submit_is_told_that_the_first_is_still_running() {
    let bench = Bench::with(|config| config.busy_timeout = 30 * SECOND).await;
    let outsider = Outsider::lock(&bench).await;
    let began = Instant::now();
    let second = async {
        let accepted = submit(&bench, "k", 1).await;
        outsider.release().await;
        accepted
    };
    let (message, key) = keyed(&bench, "k", 1);
    let (first, second) = tokio::join!(bench.store.accept(message, key), second);
    assert_eq!(second, Accepted::InProgress);
    assert_eq!(first.unwrap(), Accepted::Stored);
    assert!(began.elapsed() >= 5 * SECOND, "{:?}", began.elapsed());
}

/// One that hangs up makes way for the next.
#[tokio::test]
async fn a_submit_goes_on_when_the_first_under_its_key_is_given_up() {
    let bench = Bench::new().await;
    let outsider = Outsider::lock(&bench).await;
    let given_up = async {
        let (message, key) = keyed(&bench, "k", 1);
        tokio::select! {
            biased;
            _ = bench.store.accept(message, key) => unreachable!("nobody can write"),
            () = tokio::task::yield_now() => {}
        }
        outsider.release().await;
    };
    let ((), second) = tokio::join!(given_up, submit(&bench, "k", 1));
    // The writer may have begun with the first, or not.
    assert!(
        matches!(second, Accepted::Stored | Accepted::Replayed(_)),
        "{second:?}"
    );
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    assert_eq!(bench.claim(boot, 9).await.len(), 1);
}

/// I28, R21. A node that has begun with a key and does not come to an end holds up the others' submits under that key,
/// for five seconds, and nothing else.
#[tokio::test]
async fn a_key_that_another_node_holds_holds_up_no_other_submit() {
    let bench = Bench::new().await;
    if bench.peer().await.is_none() {
        return;
    }
    let other = bench.connect().await;
    let held = format!(
        "BEGIN; SELECT pg_advisory_xact_lock(8025, hashtext('{} POST /emails k'))",
        owner()
    );
    other.execute_unprepared(&held).await.unwrap();
    let began = Instant::now();
    let (under_it, another) = tokio::join!(submit(&bench, "k", 1), async {
        let accepted = submit(&bench, "another", 1).await;
        (accepted, began.elapsed())
    });
    assert_eq!(under_it, Accepted::InProgress);
    assert!(began.elapsed() >= 5 * SECOND, "{:?}", began.elapsed());
    assert_eq!(another.0, Accepted::Stored);
    assert!(another.1 < 3 * SECOND, "{:?}", another.1);
    // Its end settles who was first.
    let (under_it, ()) = tokio::join!(submit(&bench, "k", 1), async {
        other.execute_unprepared("ROLLBACK").await.unwrap();
    });
    assert_eq!(under_it, Accepted::Stored);
}

#[tokio::test]
async fn keys_are_kept_as_long_as_the_settings_say() {
    let bench = Bench::with(|config| config.idempotency_keys = 60 * SECOND).await;
    assert_ne!(
        config(bench.folder.path()).idempotency_keys,
        60 * SECOND,
        "the usual time is another"
    );
    assert_eq!(submit(&bench, "k", 1).await, Accepted::Stored);
    bench.advance(61 * SECOND).await;
    assert_eq!(submit(&bench, "k", 2).await, Accepted::Stored);
}

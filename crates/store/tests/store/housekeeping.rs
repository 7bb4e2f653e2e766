//! Rows that have served their time.

use std::time::Duration;

use posthaste_domain::{
    clock::{Clock, later},
    id::SessionId,
    idempotency::{Answer, Idempotency, Keyed},
    password::PasswordHash,
    stores::{Housekeeping, MessageStore, NewSession, NewTokens, SessionStore, UserStore},
    token::TokenSecret,
};
use posthaste_queue::{BootId, Queue};

use crate::{accounts::registration, support::Bench};

#[tokio::test]
async fn old_keys_and_nodes_that_left_are_removed_in_bounded_steps() {
    let bench = Bench::new().await;
    for number in 0..5 {
        let key = format!("key-{number}").parse().unwrap();
        let keyed = Keyed {
            request: Idempotency {
                route: "/emails".into(),
                key,
                fingerprint: [1; 32],
            },
            answer: Answer {
                status: 200,
                body: "{}".into(),
            },
        };
        bench
            .store
            .accept(bench.message(&["ada@example.com"]), Some(keyed))
            .await
            .unwrap();
    }
    let (gone, alive) = (BootId::random(), BootId::random());
    bench.store.join(gone).await.unwrap();
    bench.store.join(alive).await.unwrap();
    bench.store.leave(gone).await.unwrap();
    let now = bench.clock.now();
    assert_eq!(
        bench.store.prune_idempotency_keys(now, 9).await.unwrap(),
        0,
        "none is old yet"
    );
    bench.advance(Duration::from_secs(1)).await;
    let later = bench.clock.now();
    assert_eq!(
        bench.store.prune_idempotency_keys(later, 3).await.unwrap(),
        3
    );
    assert_eq!(
        bench.store.prune_idempotency_keys(later, 3).await.unwrap(),
        2
    );
    assert_eq!(
        bench.store.prune_nodes(later, 9).await.unwrap(),
        1,
        "a node that has not left stays"
    );
    assert_eq!(bench.store.prune_tokens(later, 9).await.unwrap(), 0);
}

#[tokio::test]
async fn tokens_sessions_and_counted_requests_are_removed_once_their_time_is_over() {
    let bench = Bench::new().await;
    let (registration, confirms) = registration(&bench, "ada@example.com");
    let user = registration.id;
    bench.store.register(registration).await.unwrap();
    let now = bench.clock.now();
    bench.store.confirm(confirms.hash(), now).await.unwrap();
    let secret = || TokenSecret::generate().expect("random bytes").hash();
    let session = NewSession {
        id: SessionId::new(now),
        user,
        password: PasswordHash::from_phc("$argon2id$…".into()),
        tokens: NewTokens {
            access: secret(),
            access_expires_at: later(now, Duration::from_secs(60)),
            refresh: secret(),
            refresh_expires_at: later(now, Duration::from_secs(7200)),
        },
        at: now,
    };
    assert!(bench.store.open(session).await.unwrap());
    let prune = async |hours: u64| {
        let before = later(now, Duration::from_secs(hours * 3600));
        let tokens = bench.store.prune_tokens(before, 100).await.unwrap();
        let requests = bench.store.prune_mail_requests(before, 100).await.unwrap();
        (tokens, requests)
    };
    assert_eq!(prune(0).await, (0, 0));
    // The confirmation token lives for an hour here, the refresh token and its session for two.
    assert_eq!(prune(2).await, (1, 1));
    assert_eq!(prune(3).await, (2, 0));
    assert!(bench.store.user(user).await.unwrap().is_some());
}

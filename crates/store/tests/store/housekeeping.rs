//! Rows that have served their time.

use std::time::Duration;

use posthaste_domain::{
    clock::{Clock, later},
    delivery::DeliveryState,
    id::SessionId,
    idempotency::{Answer, Idempotency, Keyed},
    message::{Content, NewMessage},
    password::PasswordHash,
    stores::{Housekeeping, MessageStore, NewSession, NewTokens, SessionStore, UserStore},
    token::TokenSecret,
};
use posthaste_queue::{BootId, ClaimedJob, Queue, Settled, Settlement, Verdict};

use crate::{
    accounts::registration,
    settling::report,
    support::{Bench, message, owner, rows},
};

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
    bench.advance(Duration::from_secs(60)).await;
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

const DAY: Duration = Duration::from_secs(86_400);

/// Ends a job and the deliveries of its message, with an attempt for each.
async fn end(bench: &Bench, job: ClaimedJob, message: &NewMessage, verdict: Verdict) {
    let state = match verdict {
        Verdict::Dead { .. } => DeliveryState::Failed,
        _ => DeliveryState::Delivered,
    };
    let settlement = Settlement {
        lease: job.lease,
        verdict,
        effects: Some(report(bench.clock.now(), message, state)),
    };
    let settled = bench.store.settle([settlement].into()).await;
    assert_eq!(settled.expect("the queue settles"), [Settled::Applied]);
}

/// Messages of a hundred days ago and of today: one that was sent, one whose job waits, one whose job is dead.
struct History {
    bench: Bench,
    sent: NewMessage,
    waits: NewMessage,
    dead: NewMessage,
    young: NewMessage,
}

impl History {
    async fn new() -> Self {
        let bench = Bench::new().await;
        let now = bench.clock.now();
        let [sent, dead, waits] = [1, 2, 3].map(|_| message(now - 100 * DAY, &["ada@example.com"]));
        let young = bench.message(&["ada@example.com"]);
        let history = Self {
            bench,
            sent,
            waits,
            dead,
            young,
        };
        let died = Verdict::Dead {
            reason: "nobody can".into(),
        };
        history.ended(&history.sent, Verdict::Done).await;
        history.ended(&history.dead, died).await;
        history.ended(&history.young, Verdict::Done).await;
        let waits = history.waits.clone();
        let accepted = history.bench.store.accept(waits, None).await;
        accepted.expect("the message is stored");
        history
    }

    async fn ended(&self, message: &NewMessage, verdict: Verdict) {
        let accepted = self.bench.store.accept(message.clone(), None).await;
        accepted.expect("the message is stored");
        let job = self.bench.claim(BootId::random(), 1).await.remove(0);
        end(&self.bench, job, message, verdict).await;
    }

    async fn content(&self, message: &NewMessage) -> Option<Content> {
        let stored = self.bench.store.message(&owner(), message.id).await;
        Some(stored.expect("the database answers")?.message.content)
    }
}

/// What a message says goes first, then the message with all that belongs to it; one that has a job, live or dead, keeps
/// everything.
#[tokio::test]
async fn messages_go_once_their_time_is_over_and_their_bodies_before_them() {
    let history = History::new().await;
    let (store, now) = (&history.bench.store, history.bench.clock.now());
    let outside = history.bench.connect().await;
    assert_eq!(store.prune_bodies(now - 101 * DAY, 9).await.unwrap(), 0);
    assert_eq!(store.prune_bodies(now - 99 * DAY, 9).await.unwrap(), 1);
    let Some(Content::Inline {
        subject,
        html,
        text,
    }) = history.content(&history.sent).await
    else {
        panic!("the message is there")
    };
    assert_eq!((subject.as_str(), html, text), ("Your order", None, None));
    for message in [&history.waits, &history.dead, &history.young] {
        assert_eq!(
            history.content(message).await.as_ref(),
            Some(&message.content)
        );
    }
    assert_eq!(store.prune_messages(now - 101 * DAY, 9).await.unwrap(), 0);
    assert_eq!(store.prune_messages(now - 99 * DAY, 9).await.unwrap(), 1);
    assert_eq!(history.content(&history.sent).await, None);
    let deliveries = store.deliveries(&owner(), history.sent.id).await;
    assert_eq!(deliveries.unwrap(), None);
    let counts = [
        ("messages", 3),
        ("message_bodies", 3),
        ("deliveries", 3),
        ("attempts", 2),
    ];
    for (table, count) in counts {
        assert_eq!(rows(&outside, table).await, count, "{table}");
    }
    // Once its job has ended, its time is over too.
    let job = history.bench.claim(BootId::random(), 1).await.remove(0);
    end(&history.bench, job, &history.waits, Verdict::Done).await;
    assert_eq!(store.prune_messages(now - 99 * DAY, 9).await.unwrap(), 1);
    let kept = [&history.dead, &history.young];
    for message in kept {
        assert_eq!(
            history.content(message).await.as_ref(),
            Some(&message.content)
        );
    }
    outside.close().await.unwrap();
}

#[tokio::test]
async fn history_is_removed_in_bounded_steps() {
    let bench = Bench::new().await;
    let now = bench.clock.now();
    for _ in 0..5 {
        let old = message(now - 100 * DAY, &["ada@example.com", "bob@example.com"]);
        bench.store.accept(old.clone(), None).await.unwrap();
        let job = bench.claim(BootId::random(), 1).await.remove(0);
        end(&bench, job, &old, Verdict::Done).await;
    }
    for expected in [2, 2, 1] {
        let removed = bench.store.prune_bodies(now - DAY, 2).await.unwrap();
        assert_eq!(removed, expected);
    }
    for expected in [4, 1, 0] {
        let removed = bench.store.prune_messages(now - DAY, 4).await.unwrap();
        assert_eq!(removed, expected);
    }
    assert_eq!(rows(&bench.connect().await, "attempts").await, 0);
}

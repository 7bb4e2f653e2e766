//! History in weeks, on PostgreSQL.

use std::time::Duration;

use posthaste_domain::{
    clock::{Clock, SystemClock, Timestamp},
    delivery::DeliveryState,
    message::{Content, NewMessage},
    stores::{Arranged, Housekeeping, MessageStore},
};
use posthaste_migrations::{Migrator, MigratorTrait};
use posthaste_queue::{BootId, ClaimedJob, Queue, Settlement, Verdict};
use posthaste_store::Store;
use sea_orm::{ConnectionTrait, DatabaseConnection};

use crate::{
    attaching::with_files,
    settling::report,
    support::{claim, message, number, owner, rows},
    town::Town,
};

const WEEK: Duration = Duration::from_secs(7 * 86_400);
const LANE: &str = "transactional";
const TABLES: [&str; 5] = [
    "messages",
    "message_bodies",
    "deliveries",
    "attempts",
    "attachments",
];

/// The parts of a table, that without a week included.
async fn parts(connection: &DatabaseConnection, table: &str) -> i64 {
    let count = format!("SELECT count(*) FROM pg_inherits WHERE inhparent = '{table}'::regclass");
    number(connection, &count).await
}

/// Rows in no week, in all tables.
async fn outside_weeks(connection: &DatabaseConnection) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in TABLES {
        counts.push(rows(connection, &format!("{table}_default")).await);
    }
    counts
}

async fn end(node: &Store, message: &NewMessage, job: ClaimedJob, verdict: Verdict) {
    let settlement = Settlement {
        lease: job.lease,
        verdict,
        effects: Some(report(SystemClock.now(), message, DeliveryState::Delivered)),
    };
    let settled = node.settle([settlement].into()).await;
    settled.expect("the queue settles");
}

/// Accepts a message and ends its job.
async fn ended(node: &Store, at: Timestamp, verdict: Verdict) -> NewMessage {
    let message = with_files(message(at, &["ada@example.com"]), &[b"x"]);
    let accepted = node.accept(message.clone(), None).await;
    accepted.expect("the message is stored");
    let job = claim(node, BootId::random(), LANE, 9).await.remove(0);
    end(node, &message, job, verdict).await;
    message
}

async fn content(node: &Store, message: &NewMessage) -> Option<Content> {
    let stored = node.message(&owner(), message.id).await;
    Some(stored.expect("the database answers")?.message.content)
}

fn died() -> Verdict {
    Verdict::Dead {
        reason: "nobody can".into(),
    }
}

#[tokio::test]
async fn weeks_are_made_ahead_and_what_has_none_is_stored_all_the_same() {
    let Some(town) = Town::new().await else {
        return;
    };
    let (node, outside) = (town.node().await, town.outside().await);
    let now = SystemClock.now();
    for table in TABLES {
        assert_eq!(
            parts(&outside, table).await,
            6,
            "five weeks and the rest: {table}"
        );
    }
    // In this order: ids of one process never go back in time.
    let past = ended(&node, now - 20 * WEEK, Verdict::Done).await;
    assert_eq!(outside_weeks(&outside).await, [1; 5]);
    let present = ended(&node, now, Verdict::Done).await;
    assert_eq!(outside_weeks(&outside).await, [1; 5]);
    let future = ended(&node, now + 20 * WEEK, Verdict::Done).await;
    assert_eq!(outside_weeks(&outside).await, [2; 5]);
    for message in [&present, &past, &future] {
        let deliveries = node.deliveries(&owner(), message.id).await.unwrap();
        let delivery = &deliveries.unwrap()[0];
        assert_eq!(
            (delivery.state, delivery.attempts.len()),
            (DeliveryState::Delivered, 1)
        );
    }
    let keep = now - 30 * WEEK;
    let arranged = node.arrange_history(now, keep, keep).await.unwrap();
    assert_eq!(arranged, Arranged::default(), "all is there");
    let arranged = node.arrange_history(now + 2 * WEEK, keep, keep).await;
    assert_eq!(
        arranged.unwrap(),
        Arranged {
            made: 2,
            dropped: 0
        }
    );
    // A week that began without a part of its own keeps its rows where they are.
    let arranged = node.arrange_history(now + 19 * WEEK, keep, keep).await;
    assert_eq!(
        arranged.unwrap(),
        Arranged {
            made: 4,
            dropped: 0
        }
    );
    assert!(content(&node, &future).await.is_some());
}

#[tokio::test]
async fn a_week_is_dropped_whole_but_for_messages_with_a_job() {
    let Some(town) = Town::new().await else {
        return;
    };
    let (node, outside) = (town.node().await, town.outside().await);
    let (now, long_ago) = (SystemClock.now(), SystemClock.now() - 30 * WEEK);
    let sent = ended(&node, now, Verdict::Done).await;
    let dead = ended(&node, now, died()).await;
    let waits = message(now, &["ada@example.com"]);
    node.accept(waits.clone(), None).await.unwrap();
    // What it says goes first.
    let bodies_gone = now + 2 * WEEK;
    let arranged = node
        .arrange_history(now, bodies_gone, long_ago)
        .await
        .unwrap();
    assert!((2..=4).contains(&arranged.dropped), "{arranged:?}");
    assert!(matches!(
        content(&node, &sent).await,
        Some(Content::Inline {
            html: None,
            text: None,
            ..
        })
    ));
    for message in [&dead, &waits] {
        assert_eq!(
            content(&node, message).await.as_ref(),
            Some(&message.content)
        );
    }
    let later = now + 2 * WEEK;
    let arranged = node.arrange_history(later, later, later).await.unwrap();
    assert!(arranged.dropped >= 3, "{arranged:?}");
    assert_eq!(content(&node, &sent).await, None);
    for message in [&dead, &waits] {
        assert_eq!(
            content(&node, message).await.as_ref(),
            Some(&message.content)
        );
        let deliveries = node.deliveries(&owner(), message.id).await.unwrap();
        assert_eq!(deliveries.unwrap().len(), 1);
    }
    assert_eq!(outside_weeks(&outside).await, [2, 2, 2, 1, 1]);
    // They go on as before, and then their time is over too.
    let job = claim(&node, BootId::random(), LANE, 9).await.remove(0);
    let outgoing = node.outgoing(waits.id).await.unwrap().unwrap();
    assert_eq!((outgoing.message, outgoing.open.len()), (waits.clone(), 1));
    end(&node, &waits, job, Verdict::Done).await;
    let deliveries = node.deliveries(&owner(), waits.id).await.unwrap();
    assert_eq!(deliveries.unwrap()[0].state, DeliveryState::Delivered);
    assert_eq!(node.prune_messages(later, 9).await.unwrap(), 1);
    assert_eq!(outside_weeks(&outside).await, [1; 5]);
}

/// A transaction that has read history keeps it for as long as it is open; nobody waits for it.
#[tokio::test]
async fn a_week_that_is_being_read_is_dropped_the_next_time() {
    let Some(town) = Town::new().await else {
        return;
    };
    let (node, reader) = (town.node().await, town.outside().await);
    let now = SystemClock.now();
    let sent = ended(&node, now, Verdict::Done).await;
    let open = "BEGIN; SELECT count(*) FROM messages";
    reader.execute_unprepared(open).await.unwrap();
    let later = now + 2 * WEEK;
    let (arranged, accepted) = tokio::join!(
        node.arrange_history(now, later, later),
        node.accept(message(now, &["ada@example.com"]), None)
    );
    arranged.unwrap();
    accepted.unwrap();
    assert!(content(&node, &sent).await.is_some());
    reader.execute_unprepared("COMMIT").await.unwrap();
    node.arrange_history(now, later, later).await.unwrap();
    assert_eq!(content(&node, &sent).await, None);
}

/// The step to tables in parts keeps what is there, and the step back too.
#[tokio::test]
async fn history_of_before_is_kept_when_its_tables_are_parted() {
    let Some(town) = Town::new().await else {
        return;
    };
    let (node, outside) = (town.node().await, town.outside().await);
    let now = SystemClock.now();
    let before = [
        ended(&node, now - 20 * WEEK, died()).await,
        ended(&node, now, Verdict::Done).await,
    ];
    node.close().await;
    let steps = Migrator::migrations();
    let back = steps
        .iter()
        .rev()
        .position(|step| step.name().contains("m0012"));
    let back = u32::try_from(back.unwrap() + 1).unwrap();
    Migrator::down(&outside, Some(back)).await.unwrap();
    let in_parts = "SELECT count(*) FROM pg_partitioned_table";
    assert_eq!(number(&outside, in_parts).await, 0);
    assert_eq!(number(&outside, "SELECT count(*) FROM attempts").await, 2);
    let node = town.node().await;
    assert_eq!(number(&outside, in_parts).await, 5);
    for message in &before {
        assert_eq!(
            content(&node, message).await.as_ref(),
            Some(&message.content)
        );
        let deliveries = node.deliveries(&owner(), message.id).await.unwrap();
        assert_eq!(deliveries.unwrap()[0].attempts.len(), 1);
    }
    // The week in which it was done stays in the old table, and attempts go on counting.
    assert_eq!(outside_weeks(&outside).await[..4], [2; 4]);
    ended(&node, now, Verdict::Done).await;
    assert_eq!(outside_weeks(&outside).await[..4], [3; 4]);
    ended(&node, now + 2 * WEEK, Verdict::Done).await;
    assert_eq!(outside_weeks(&outside).await[..4], [3; 4]);
    assert_eq!(number(&outside, "SELECT max(id) FROM attempts").await, 4);
}

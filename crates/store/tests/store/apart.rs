//! What holds on PostgreSQL whatever the clocks, the language of the database and the order of its locks are.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use posthaste_domain::{
    clock::{Clock, ManualClock, SystemClock, later},
    delivery::DeliveryReport,
    message::{AtRest, Content},
    stores::{Finding, MessageStore, StoreHealth},
    template::{TemplateRef, TemplateVersionId},
};
use posthaste_queue::{BootId, ClaimedJob, Queue, Settled, Settlement, Verdict};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tokio::time::{Instant, interval};

use crate::{
    support::{Bench, claim, job, message, number, owner},
    town::Town,
};

const SECOND: Duration = Duration::from_secs(1);

/// Looks until it finds something, at most ten seconds long.
async fn eventually<T, Look>(what: &str, mut look: impl FnMut() -> Look) -> T
where
    Look: Future<Output = Option<T>>,
{
    let (began, mut looks) = (Instant::now(), interval(Duration::from_millis(20)));
    loop {
        looks.tick().await;
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            began.elapsed() < 10 * SECOND,
            "not within ten seconds: {what}"
        );
    }
}

fn settlement(job: ClaimedJob, verdict: Verdict) -> Settlement<DeliveryReport> {
    Settlement {
        lease: job.lease,
        verdict,
        effects: None,
    }
}

/// A clock that is `seconds` ahead of the others, or behind them.
fn clock(seconds: i64) -> Arc<ManualClock> {
    let apart = TimeDelta::seconds(seconds);
    Arc::new(ManualClock::at(SystemClock.now() + apart))
}

/// I21. A node whose clock is five minutes ahead, or behind, waits as long as it was told: by the database's clock.
#[tokio::test]
async fn waits_are_as_long_as_they_were_told_whatever_the_clock_of_the_node_says() {
    let Some(town) = Town::new().await else {
        return;
    };
    for seconds in [300, -300] {
        let node = town.node_with(clock(seconds), |_| {}).await;
        let boot = BootId::random();
        node.join(boot).await.unwrap();
        let told = Instant::now();
        node.push(vec![job(1, 2 * SECOND)]).await.unwrap();
        for round in ["the delay", "the verdict"] {
            let early = node.promote().await.unwrap();
            let due = early.next_due.expect("one waits");
            assert!(
                early.count == 0 && due <= 2 * SECOND && due > SECOND,
                "{round}: {early:?}"
            );
            eventually("its wait is over", async || {
                (node.promote().await.unwrap().count == 1).then_some(())
            })
            .await;
            let mut claimed = claim(&node, boot, "a", 9).await;
            assert_eq!(claimed.len(), 1, "{round}");
            let verdict = match round {
                "the delay" => Verdict::Retry {
                    after: 2 * SECOND,
                    error: "later".into(),
                },
                _ => Verdict::Done,
            };
            let batch = Arc::new([settlement(claimed.remove(0), verdict)]);
            assert_eq!(node.settle(batch).await.unwrap(), [Settled::Applied]);
        }
        let took = told.elapsed();
        assert!(took >= 4 * SECOND - Duration::from_millis(10), "{took:?}");
        assert!(took < 8 * SECOND, "{took:?}");
        node.leave(boot).await.unwrap();
    }
}

/// I21. A mail of ten minutes has ten minutes, on a node whose clock is ten minutes ahead of the one that took it.
#[tokio::test]
async fn a_mail_has_its_time_whatever_the_clocks_of_the_nodes_say() {
    let Some(town) = Town::new().await else {
        return;
    };
    let (behind, ahead) = (clock(-300), clock(300));
    let taker = town
        .node_with(Arc::<ManualClock>::clone(&behind), |_| {})
        .await;
    let sender = town
        .node_with(Arc::<ManualClock>::clone(&ahead), |_| {})
        .await;
    let mut message = message(behind.now(), &["ada@example.com"]);
    message.expires_at = later(behind.now(), 600 * SECOND);
    taker.accept(message.clone(), None).await.unwrap();
    for (node, clock) in [(&sender, &ahead), (&taker, &behind)] {
        let outgoing = node.outgoing(message.id).await.unwrap().unwrap();
        let left = (outgoing.expires_at - clock.now()).as_seconds_f64();
        assert!((590.0..=600.0).contains(&left), "{left} s");
        assert_eq!(
            outgoing.message, message,
            "what was accepted stays as it is"
        );
    }
}

/// I40. The same submit is the same text on both databases: nothing orders the members of an object anew, or rounds a number.
#[tokio::test]
async fn a_submit_is_stored_as_the_same_text_on_both_databases() {
    let Some(town) = Town::new().await else {
        return;
    };
    let (file, node) = (Bench::new().await, town.node().await);
    let mut inline = file.message(&["Zoë <zoe@example.com>", "bob@example.com"]);
    inline.content = Content::Inline {
        subject: "Grüße e\u{301} ß \u{1f4ee}".parse().unwrap(),
        html: Some("<b title='\"\\'>ä\r\n\t\u{fffd}</b>\n".into()),
        text: Some(" \n".into()),
    };
    for (name, value) in [("z", "1"), ("a", "\\u0000 'quoted' \"twice\""), ("Z", "ß")] {
        inline.metadata.insert(name.into(), value.into());
    }
    let mut by_template = file.message(&["ada@example.com"]);
    let variables = r#"{"z":1.0,"a":{"y":[true,null,1e300,18446744073709551615,-0.0],"b":"\u0000\ud83d\udcee"},"":[]}"#;
    by_template.content = Content::Template {
        template: TemplateRef {
            name: "receipt".parse().unwrap(),
            version: TemplateVersionId::from_digest(&[7; 32]),
        },
        subject: None,
        variables: serde_json::from_str(variables).unwrap(),
        at_rest: AtRest::Plain,
    };
    for message in [&inline, &by_template] {
        file.store.accept(message.clone(), None).await.unwrap();
        node.accept(message.clone(), None).await.unwrap();
        let stored = node.message(&owner(), message.id).await.unwrap();
        assert_eq!(&stored.unwrap().message, message);
    }
    let (file, town) = (file.connect().await, town.outside().await);
    for (columns, from) in [
        (
            &[
                "owner",
                "stream",
                "message_id",
                "sender",
                "recipients",
                "reply_to",
                "subject",
            ] as &[_],
            "messages ORDER BY id",
        ),
        (
            &[
                "template_name",
                "template_version",
                "headers",
                "tags",
                "metadata",
            ],
            "messages ORDER BY id",
        ),
        (
            &["html", "text", "variables"],
            "message_bodies ORDER BY message_id",
        ),
        (
            &["recipient", "state"],
            "deliveries ORDER BY message_id, position",
        ),
        (&["lane", "kind", "payload", "tenant"], "jobs ORDER BY id"),
    ] {
        let of_file = texts(&file, columns, from).await;
        assert!(of_file.iter().flatten().any(Option::is_some));
        assert_eq!(of_file, texts(&town, columns, from).await, "{from}");
    }
}

/// Rows as they stand there, character by character.
async fn texts(
    connection: &DatabaseConnection,
    columns: &[&str],
    from: &str,
) -> Vec<Vec<Option<String>>> {
    let sql = format!("SELECT {} FROM {from}", columns.join(", "));
    let asked = Statement::from_string(connection.get_database_backend(), sql);
    let rows = connection.query_all_raw(asked).await;
    let rows = rows.expect("the database answers");
    let row = |row: &sea_orm::QueryResult| {
        let column = |at| row.try_get_by_index(at).expect("a text");
        (0..columns.len()).map(column).collect()
    };
    rows.iter().map(row).collect()
}

/// I21. The skew is measured and told, and an old snapshot of another session too.
#[tokio::test]
async fn clocks_that_are_apart_and_old_snapshots_are_told() {
    let Some(town) = Town::new().await else {
        return;
    };
    // The schema first, so that its own transaction is not the old one.
    town.node().await;
    let outside = town.outside().await;
    let open = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM jobs";
    outside.execute_unprepared(open).await.unwrap();
    let told = async |seconds, limit| {
        let node = town
            .node_with(clock(seconds), |config| config.old_snapshot = limit)
            .await;
        eventually("a first look", async || {
            Some(node.findings()).filter(|findings| !findings.is_empty())
        })
        .await
    };
    let soon = Duration::from_nanos(1);
    let found = told(-300, soon).await;
    let names: Vec<_> = found.iter().map(|finding| finding.name).collect();
    assert_eq!(names, ["clock_skew", "old_snapshot"]);
    let Finding { sound, seconds, .. } = found[0];
    assert!(!sound && (299.0..302.0).contains(&seconds), "{found:?}");
    assert!(!found[1].sound, "{found:?}");
    let found = told(0, 60 * SECOND).await;
    assert!(found.iter().all(|finding| finding.sound), "{found:?}");
    assert!(found[0].seconds.abs() < 2.0, "{found:?}");
    assert!(found[1].seconds > 0.0, "it is there, and young: {found:?}");
}

/// I30. A batch that holds one row and waits for another while somebody holds that and waits for the first: the database
/// ends the batch, which runs again as a whole and leaves nothing half done.
#[tokio::test]
async fn a_batch_that_meets_another_in_the_opposite_order_runs_again_whole() {
    let Some(town) = Town::new().await else {
        return;
    };
    let node = town.node().await;
    let boot = BootId::random();
    node.join(boot).await.unwrap();
    node.push(vec![job(1, Duration::ZERO), job(2, Duration::ZERO)])
        .await
        .unwrap();
    let mut claimed = claim(&node, boot, "a", 9).await;
    claimed.sort_by_key(|job| job.meta.id);
    let retried = claimed.pop().unwrap();
    let removed = claimed.pop().unwrap();
    // The other one never gives up first.
    let other = town.outside().await;
    let hold = format!(
        "SET deadlock_timeout = '60s'; BEGIN; SELECT 1 FROM jobs WHERE id = '{}' FOR UPDATE",
        retried.meta.id
    );
    other.execute_unprepared(&hold).await.unwrap();
    let watch = town.outside().await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(number(&watch, deadlocks).await, 0);
    // The first is removed, then the batch waits for the second.
    let again = Verdict::Retry {
        after: 60 * SECOND,
        error: "later".into(),
    };
    let first = removed.meta.id;
    let batch: Arc<[_]> = Arc::new([
        settlement(removed, Verdict::Done),
        settlement(retried, again),
    ]);
    let crossing = async {
        eventually("the batch waits", async || {
            let waiting = "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
            (number(&watch, waiting).await == 1).then_some(())
        })
        .await;
        let cross = format!("SELECT 1 FROM jobs WHERE id = '{first}' FOR UPDATE");
        other.execute_unprepared(&cross).await.unwrap();
        other.execute_unprepared("COMMIT").await.unwrap();
    };
    let (settled, ()) = tokio::join!(node.settle(Arc::clone(&batch)), crossing);
    assert_eq!(settled.unwrap(), [Settled::Applied; 2]);
    eventually("the deadlock is counted", async || {
        // A backend tells what it has counted with a transaction, once a second; an idle one after ten.
        let stale = node.settle(Arc::clone(&batch)).await.unwrap();
        assert!(!stale.contains(&Settled::Applied));
        (number(&watch, deadlocks).await == 1).then_some(())
    })
    .await;
    let left = "SELECT count(*) FROM jobs WHERE state = 'scheduled' AND attempts = 1";
    assert_eq!(number(&watch, left).await, 1);
    assert_eq!(number(&watch, "SELECT count(*) FROM jobs").await, 1);
}

/// I40. Text that is searched for is compared by its bytes: the order of a language changes with the system's libraries,
/// and an index built in another order finds its rows no more.
#[tokio::test]
async fn text_in_indexes_is_compared_by_its_bytes() {
    let Some(town) = Town::new().await else {
        return;
    };
    town.node().await;
    let outside = town.outside().await;
    let others = "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema() \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey) \
         WHERE a.atttypid = 'text'::regtype AND c.relname <> 'seaql_migrations' \
         AND a.attcollation {} '\"C\"'::regcollation";
    assert_eq!(number(&outside, &others.replace("{}", "<>")).await, 0);
    assert!(number(&outside, &others.replace("{}", "=")).await > 5);
}

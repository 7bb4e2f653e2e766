//! What PostgreSQL reads for a statement (P9): the rows that it is about, however many there were before.

use std::{sync::Arc, time::Duration};

use posthaste_domain::{clock::SystemClock, delivery::DeliveryReport};
use posthaste_queue::{BootId, ClaimedJob, Queue, Settled, Settlement, Verdict};
use posthaste_store::Store;
use sea_orm::ConnectionTrait;

use crate::{
    support::{claim, job, number},
    town::Town,
};

/// A node with one connection that reads, or none of them would come to its sixth run.
async fn joined(town: &Town) -> (Arc<Store>, BootId) {
    let node = town.node_with(Arc::new(SystemClock), |config| config.read_connections = 1);
    let (node, boot) = (node.await, BootId::random());
    node.join(boot).await.expect("the database answers");
    (node, boot)
}

/// Every second one is done, the others wait an hour.
async fn end(node: &Store, claimed: Vec<ClaimedJob>) {
    let settlement = |(number, job): (usize, ClaimedJob)| Settlement::<DeliveryReport> {
        lease: job.lease,
        verdict: match number % 2 {
            0 => Verdict::Done,
            _ => Verdict::Retry {
                after: Duration::from_secs(3600),
                error: "later".into(),
            },
        },
        effects: None,
    };
    let ends: Vec<_> = claimed.into_iter().enumerate().map(settlement).collect();
    let expected = vec![Settled::Applied; ends.len()];
    let settled = node.settle(ends.into()).await;
    assert_eq!(settled.expect("the ends are stored"), expected);
}

/// P9. A job ends by its id. The index of leases is short by its statistics, and beside an open snapshot as long as all
/// leases that there were: an end that read it would be dearer with each.
#[tokio::test]
async fn ends_of_jobs_do_not_read_the_leases_that_are_gone() {
    const BATCHES: u128 = 20;
    let Some(town) = Town::new().await else {
        return;
    };
    let (node, boot) = joined(&town).await;
    let open = town.outside().await;
    let snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM jobs";
    open.execute_unprepared(snapshot).await.unwrap();
    for batch in 0..BATCHES {
        let jobs = (0..100).map(|number| job(100 * batch + number, Duration::ZERO));
        node.push(jobs.collect()).await.unwrap();
        let claimed = claim(&node, boot, "a", 100).await;
        end(&node, claimed).await;
    }
    // Connections that end tell what they have counted.
    node.close().await;
    let watch = town.outside().await;
    let read = "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes \
         WHERE schemaname = current_schema() AND indexrelname IN ('jobs_leased', 'jobs_leased_lane')";
    let read = number(&watch, read).await;
    assert!(read < 2000, "{read} entries");
}

/// P9. What the planner thought of a short table is not kept until the table is long.
#[tokio::test]
async fn plans_of_a_short_table_do_not_outlast_it() {
    let Some(town) = Town::new().await else {
        return;
    };
    let (node, boot) = joined(&town).await;
    let outside = town.outside().await;
    let without_help = "ALTER TABLE jobs SET (autovacuum_enabled = off); VACUUM ANALYZE jobs";
    for sql in without_help.split("; ") {
        outside.execute_unprepared(sql).await.unwrap();
    }
    let run = async |from: u128| {
        for batch in from..from + 10 {
            let jobs = (0..20).map(|number| job(20 * batch + number, Duration::ZERO));
            node.push(jobs.collect()).await.unwrap();
            node.promote().await.unwrap();
            node.sweep().await.unwrap();
            let suspect = node.claim_suspect(boot, &["a".parse().unwrap()]).await;
            assert!(suspect.unwrap().is_none());
            let claimed = claim(&node, boot, "a", 20).await;
            end(&node, claimed).await;
        }
    };
    // PostgreSQL decides in the sixth run whether to keep a plan.
    run(0).await;
    let columns = "kind, payload, state, attempts, crashes, fence, created_at, lane";
    let many = format!(
        "INSERT INTO jobs (id, {columns}, run_at, expires_at) \
         SELECT gen_random_uuid(), {columns}, 1e18, 1e18 FROM generate_series(1, 20000), \
         (SELECT {columns} FROM jobs LIMIT 1) one"
    );
    outside.execute_unprepared(&many).await.unwrap();
    run(10).await;
    // Connections that end tell what they have counted.
    node.close().await;
    outside.close().await.unwrap();
    let watch = town.outside().await;
    let read = "SELECT seq_tup_read FROM pg_stat_user_tables \
         WHERE schemaname = current_schema() AND relname = 'jobs'";
    let read = number(&watch, read).await;
    assert!(read < 20_000, "{read} rows");
}

/// P9. The hot table is cleaned by its own rules, not by those of a table that grows.
#[tokio::test]
async fn the_table_of_jobs_is_cleaned_early() {
    let Some(town) = Town::new().await else {
        return;
    };
    town.node().await;
    let outside = town.outside().await;
    let set = "SELECT count(*) FROM pg_class c, unnest(reloptions) o \
         WHERE c.oid = 'jobs'::regclass AND o IN ('autovacuum_vacuum_scale_factor=0', \
         'autovacuum_vacuum_threshold=20000', 'autovacuum_vacuum_cost_delay=0')";
    assert_eq!(number(&outside, set).await, 3);
}

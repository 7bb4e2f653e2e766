//! What is promised of a SQLite file alone: one process, its log, its disk.

use std::{sync::Arc, time::Duration};

use posthaste_domain::stores::{Accepted, MessageStore, StoreError};
use posthaste_queue::{
    BootId, Operate, Queue, Settled, Settlement, Verdict,
    operate::{Cause, DeadFilter},
};
use posthaste_store::OpenError;
use tokio::{
    task::JoinSet,
    time::{Instant, interval},
};

use crate::support::{Bench, Outsider, open, owner};

/// I2. The jobs of a process that died are ready again at the next start, and a crash is counted for each.
#[tokio::test]
async fn whoever_opens_the_file_takes_back_the_leases_of_the_dead() {
    let bench = Bench::new().await;
    for _ in 0..3 {
        bench
            .store
            .accept(bench.message(&["ada@example.com"]), None)
            .await
            .unwrap();
    }
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    assert_eq!(bench.claim(boot, 2).await.len(), 2);
    let (bench, opened) = bench.reopen().await;
    assert_eq!((opened.recovered, opened.migrations), (2, 0));
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    let claimed = bench.claim(boot, 9).await;
    let counted: Vec<_> = claimed
        .iter()
        .map(|job| (job.meta.attempt, job.meta.crashes))
        .collect();
    assert_eq!(counted, [(1, 1), (1, 1), (1, 0)]);
}

/// I10. Of a process that dies again and again nothing is quarantined, whoever of its jobs is the cause: what was in hand
/// twice is held back until a node is up for long enough, and a third crash can only come while it runs apart.
#[tokio::test]
async fn a_row_of_quick_crashes_quarantines_nothing() {
    let mut bench = Bench::new().await;
    for _ in 0..5 {
        let message = bench.message(&["ada@example.com"]);
        bench.store.accept(message, None).await.unwrap();
    }
    let lanes = ["transactional".parse().unwrap()];
    for crash in 0..20 {
        let boot = BootId::random();
        bench.store.join(boot).await.unwrap();
        let claimed = bench.claim(boot, 9).await.len();
        assert_eq!(claimed, if crash < 2 { 5 } else { 0 }, "at crash {crash}");
        bench = bench.reopen().await.0;
    }
    let none = bench.store.dead(&DeadFilter::default(), None, 9).await;
    assert_eq!(none.unwrap(), []);
    // One at a time runs apart, and only the guilty one is taken out.
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    let guilty = bench.store.claim_suspect(boot, &lanes).await.unwrap();
    let guilty = guilty.expect("five wait to run apart").meta.id;
    let (bench, _) = bench.reopen().await;
    let dead = bench
        .store
        .dead(&DeadFilter::default(), None, 9)
        .await
        .unwrap();
    let dead: Vec<_> = dead.iter().map(|dead| (dead.id, dead.cause)).collect();
    assert_eq!(dead, [(guilty, Cause::Quarantined)]);
    let status = bench.store.lanes().await.unwrap().remove(0);
    assert_eq!((status.suspect, status.ready), (4, 0));
}

/// I2. A second process is refused while the first one lives.
#[tokio::test]
async fn a_file_is_served_by_one_process_at_a_time() {
    let bench = Bench::new().await;
    let second = open(bench.folder.path(), &bench.clock).await;
    assert!(matches!(second, Err(OpenError::InUse(_))), "{second:?}");
    let message = bench.message(&["ada@example.com"]);
    bench.store.accept(message.clone(), None).await.unwrap();
    let (bench, _) = bench.reopen().await;
    assert!(
        bench
            .store
            .message(&owner(), message.id)
            .await
            .unwrap()
            .is_some()
    );
}

/// I2. A store that was dropped and not closed still writes what waited. Until it has, the file is not another's: that one
/// would take back leases which are not of the dead.
#[tokio::test]
async fn a_file_is_free_when_the_last_write_of_a_dropped_store_has_ended() {
    let bench = Bench::new().await;
    let message = bench.message(&["ada@example.com"]);
    bench.store.accept(message, None).await.unwrap();
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    let settlement = Settlement {
        lease: bench.claim(boot, 1).await.remove(0).lease,
        verdict: Verdict::Done,
        effects: None,
    };
    let outsider = Outsider::lock(&bench).await;
    let mut settling = bench.store.settle([settlement].into());
    tokio::select! {
        biased;
        settled = &mut settling => panic!("not while the file is locked: {settled:?}"),
        () = std::future::ready(()) => drop(settling),
    }
    let Bench {
        store,
        folder,
        clock,
        ..
    } = bench;
    drop(store);
    let early = open(folder.path(), &clock).await;
    assert!(matches!(early, Err(OpenError::InUse(_))), "{early:?}");
    outsider.release().await;
    let (mut looks, began) = (interval(Duration::from_millis(10)), Instant::now());
    let opened = loop {
        looks.tick().await;
        match open(folder.path(), &clock).await {
            Err(OpenError::InUse(_)) => assert!(began.elapsed() < Duration::from_secs(10)),
            opened => break opened.unwrap().1,
        }
    };
    assert_eq!(opened.recovered, 0, "the job has ended");
}

/// I27. After an error of the database nothing more runs on that connection; it is opened anew and goes on.
#[tokio::test]
async fn an_error_of_the_database_is_told_and_the_next_submit_is_stored() {
    let bench = Bench::with(|config| config.busy_timeout = Duration::from_millis(50)).await;
    let outsider = Outsider::lock(&bench).await;
    let refused = bench.message(&["ada@example.com"]);
    let answer = bench.store.accept(refused.clone(), None).await;
    assert!(
        matches!(answer, Err(StoreError::Unavailable(Some(_)))),
        "{answer:?}"
    );
    outsider.release().await;
    assert_eq!(
        bench.store.message(&owner(), refused.id).await.unwrap(),
        None,
        "nothing was half stored"
    );
    assert_eq!(
        bench.store.accept(refused, None).await.unwrap(),
        Accepted::Stored
    );
}

/// I33. Where the disk is nearly full, submits are refused and ends of jobs are still written.
#[tokio::test]
async fn at_the_disk_floor_submits_are_refused_and_jobs_still_end() {
    let bench = Bench::new().await;
    bench
        .store
        .accept(bench.message(&["ada@example.com"]), None)
        .await
        .unwrap();
    let (bench, _) = bench
        .reopen_with(|config| config.disk_floor = u64::MAX)
        .await;
    let refused = bench
        .store
        .accept(bench.message(&["bob@example.com"]), None)
        .await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(Some(_)))),
        "{refused:?}"
    );
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    let job = bench.claim(boot, 1).await.remove(0);
    let batch = [Settlement {
        lease: job.lease,
        verdict: Verdict::Done,
        effects: None,
    }];
    assert_eq!(
        bench.store.settle(Arc::new(batch)).await.unwrap(),
        [Settled::Applied]
    );
}

/// I35. Under steady writes the log is emptied in gaps, and never grows far beyond its mark.
#[tokio::test]
async fn the_log_stays_near_its_mark_under_steady_writes() {
    const MARK: u64 = 256 * 1024;
    // Opened once before: the making of the schema fills a log of its own.
    let (bench, _) = Bench::new()
        .await
        .reopen_with(|config| config.checkpoint_above = MARK)
        .await;
    let wal = bench.folder.path().join("posthaste.db-wal");
    let mut largest = 0;
    let mut written = 0;
    for _ in 0..40 {
        let mut submits = JoinSet::new();
        for _ in 0..25 {
            let (store, mut mine) = (
                Arc::clone(&bench.store),
                bench.message(&["ada@example.com"]),
            );
            mine.metadata.insert("filler".into(), "x".repeat(2000));
            written += 2000;
            submits.spawn(async move { store.accept(mine, None).await.unwrap() });
        }
        submits.join_all().await;
        largest = largest.max(std::fs::metadata(&wal).unwrap().len());
    }
    assert!(
        written > 4 * MARK,
        "enough was written to need several gaps"
    );
    assert!(largest < 4 * MARK, "the log grew to {largest} bytes");
}

//! apalis under the work of `posthaste bench queue`: jobs of 1 KiB that do nothing, put in by as many callers at once,
//! then drained by one worker. One line of JSON.
//!
//! `posthaste-peer-apalis sqlite:FILE | postgres://… JOBS IN_FLIGHT BATCH`. The file must not be there yet; the database
//! is emptied of apalis's tables. What is acknowledged is on disk, as it is with Posthaste: the library's own set-up
//! turns SQLite's syncing off, so the connections that are measured turn it on again.

use std::{
    fmt::Debug,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use apalis::prelude::*;
use apalis_postgres::PostgresStorage;
use apalis_sqlite::SqliteStorage;
use serde::{Deserialize, Serialize};
use sqlx::{
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// Longest drain; a worker that hangs is told from one that is slow.
const PATIENCE: Duration = Duration::from_secs(300);
/// Jobs that a worker runs at a time.
const CONCURRENCY: usize = 64;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct NoOp {
    filler: String,
}

/// Counts jobs, and knows when the last one ended.
#[derive(Debug)]
struct Count {
    wanted: u64,
    done: AtomicU64,
    ended: OnceLock<Instant>,
}

async fn handle(
    _job: NoOp,
    count: Data<Arc<Count>>,
    worker: WorkerContext,
) -> Result<(), BoxDynError> {
    if count.done.fetch_add(1, Ordering::Relaxed) + 1 == count.wanted {
        count.ended.set(Instant::now()).ok();
        worker.stop()?;
    }
    Ok(())
}

struct Work {
    jobs: u64,
    in_flight: u64,
    batch: usize,
}

#[tokio::main]
async fn main() -> Result<(), BoxDynError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, jobs, in_flight, batch] = arguments.as_slice() else {
        return Err(
            "usage: posthaste-peer-apalis sqlite:FILE|postgres://… JOBS IN_FLIGHT BATCH".into(),
        );
    };
    let work = Work {
        jobs: jobs.parse()?,
        in_flight: in_flight.parse()?,
        batch: batch.parse()?,
    };
    match url.strip_prefix("sqlite:") {
        Some(file) => sqlite(file, &work).await,
        None => postgres(url, &work).await,
    }
}

async fn sqlite(file: &str, work: &Work) -> Result<(), BoxDynError> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(20));
    let setting_up = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options.clone())
        .await?;
    SqliteStorage::setup(&setting_up).await?;
    setting_up.close().await;
    let options = options.synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .connect_with(options)
        .await?;
    let config = apalis_sqlite::Config::default()
        .queue("bench")
        .batch_size(work.batch);
    let storage = SqliteStorage::<NoOp>::new(&pool).with_config(config);
    let enqueued = enqueue(&storage, work).await;
    let count = count(work.jobs);
    let worker = WorkerBuilder::new("bench")
        .backend(storage)
        .data(Arc::clone(&count));
    let worker = worker
        .concurrency(CONCURRENCY)
        .parallelize(tokio::spawn)
        .build(handle);
    let began = Instant::now();
    tokio::time::timeout(PATIENCE, worker.run()).await.ok();
    report("apalis-sqlite", work, enqueued, began, &count)
}

async fn postgres(url: &str, work: &Work) -> Result<(), BoxDynError> {
    let pool = PgPoolOptions::new()
        .max_connections(16)
        .connect(url)
        .await?;
    PostgresStorage::setup(&pool).await?;
    sqlx::query("TRUNCATE apalis.jobs, apalis.workers CASCADE")
        .execute(&pool)
        .await?;
    let config = apalis_postgres::Config::default()
        .queue("bench")
        .batch_size(work.batch);
    let storage = PostgresStorage::<NoOp>::new(&pool).with_config(config);
    let enqueued = enqueue(&storage, work).await;
    let count = count(work.jobs);
    let worker = WorkerBuilder::new("bench")
        .backend(storage.with_pubsub())
        .data(Arc::clone(&count));
    let worker = worker
        .concurrency(CONCURRENCY)
        .parallelize(tokio::spawn)
        .build(handle);
    let began = Instant::now();
    tokio::time::timeout(PATIENCE, worker.run()).await.ok();
    report("apalis-postgres", work, enqueued, began, &count)
}

/// How long all of it took, and each call.
struct Enqueued {
    took: Duration,
    calls: Vec<Duration>,
}

async fn enqueue<S, K>(storage: &S, work: &Work) -> Enqueued
where
    S: TaskSink<NoOp, K> + Clone + Send + 'static,
    S::Error: Debug,
{
    let left = Arc::new(AtomicU64::new(work.jobs));
    let job = NoOp {
        filler: "x".repeat(1000),
    };
    let began = Instant::now();
    let callers: Vec<_> = (0..work.in_flight)
        .map(|_| {
            let (mut storage, left, job) = (storage.clone(), Arc::clone(&left), job.clone());
            tokio::spawn(async move {
                let mut calls = Vec::new();
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                        left.checked_sub(1)
                    })
                    .is_ok()
                {
                    let called = Instant::now();
                    storage
                        .push(job.clone())
                        .await
                        .expect("the queue takes a job");
                    calls.push(called.elapsed());
                }
                calls
            })
        })
        .collect();
    let mut calls = Vec::new();
    for caller in callers {
        calls.extend(caller.await.expect("a caller ends"));
    }
    calls.sort();
    Enqueued {
        took: began.elapsed(),
        calls,
    }
}

fn count(wanted: u64) -> Arc<Count> {
    Arc::new(Count {
        wanted,
        done: AtomicU64::new(0),
        ended: OnceLock::new(),
    })
}

fn report(
    peer: &str,
    work: &Work,
    enqueued: Enqueued,
    began: Instant,
    count: &Count,
) -> Result<(), BoxDynError> {
    let ended = count
        .ended
        .get()
        .ok_or("the worker did not drain the queue in time")?;
    let ms =
        |share: usize| enqueued.calls[(enqueued.calls.len() - 1) * share / 100].as_secs_f64() * 1e3;
    let rate = |took: Duration| (work.jobs as f64 / took.as_secs_f64()).round();
    let report = serde_json::json!({
        "peer": peer,
        "jobs": work.jobs,
        "in_flight": work.in_flight,
        "batch": work.batch,
        "enqueue_per_s": rate(enqueued.took),
        "enqueue_p50_ms": ms(50),
        "enqueue_p99_ms": ms(99),
        "drain_per_s": rate(ended.duration_since(began)),
    });
    println!("{report}");
    Ok(())
}

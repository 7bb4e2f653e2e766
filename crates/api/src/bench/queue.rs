//! `posthaste bench queue`: jobs that do nothing through the durable queue. How fast they are put in by callers who each
//! wait for the disk, how fast one worker drains them, the memory while they are pending, and how long a mail that is
//! accepted on an idle system waits for its handler.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use posthaste_composition::bench::{Ground, Node};
use posthaste_domain::delivery::DeliveryReport;
use posthaste_queue::{JobId, NewJob, Queue};
use serde::Serialize;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    BenchError, Options,
    figures::{Latencies, Memory, Percentiles, Spread, forget_peak, memory},
    load::take_one,
    pick_up,
    work::{self, NoOp, Tally, Work},
};

/// What `bench queue` tells.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    jobs: u64,
    in_flight: usize,
    permits: usize,
    rounds: Vec<Round>,
    enqueue_per_s: Spread,
    drain_per_s: Spread,
    /// From the first job put in to the last one ended, both counted.
    through_per_s: Spread,
    /// Of the process, while the jobs of the first round were put in, lay there, and were drained.
    memory: Memory,
    /// From the submit to the start of its handler, on one node.
    pick_up: Percentiles,
    /// The same with the worker on another node than the one that accepts, where the database takes several.
    pick_up_across: Option<Percentiles>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Round {
    enqueue_per_s: f64,
    enqueue: Percentiles,
    drain_per_s: f64,
    through_per_s: f64,
}

/// Measures on `ground`.
///
/// # Errors
/// [`BenchError`].
pub(super) async fn run(ground: &Ground, options: &Options) -> Result<Report, BenchError> {
    let node = ground.node().await?;
    let measured = measure(&node, ground, options).await;
    node.close().await;
    measured
}

async fn measure(node: &Node, ground: &Ground, options: &Options) -> Result<Report, BenchError> {
    let mut rounds = Vec::new();
    let mut with_all_pending = None;
    forget_peak();
    for _ in 0..options.rounds {
        rounds.push(round(node, ground, options).await?);
        with_all_pending.get_or_insert_with(memory);
    }
    let pick_up = pick_up::on_one_node(node, ground).await?;
    let pick_up_across = if ground.takes_several_nodes() {
        let other = ground.node().await?;
        let across = pick_up::on_two_nodes(node, &other, ground).await;
        other.close().await;
        Some(across?)
    } else {
        None
    };
    let spread = |figure: fn(&Round) -> f64| Spread::of(rounds.iter().map(figure));
    Ok(Report {
        jobs: options.jobs,
        in_flight: options.in_flight,
        permits: work::permits(ground.settings()),
        enqueue_per_s: spread(|round| round.enqueue_per_s),
        drain_per_s: spread(|round| round.drain_per_s),
        through_per_s: spread(|round| round.through_per_s),
        memory: with_all_pending.unwrap_or_else(memory),
        pick_up,
        pick_up_across,
        rounds,
    })
}

async fn round(node: &Node, ground: &Ground, options: &Options) -> Result<Round, BenchError> {
    let jobs = options.jobs;
    let (enqueuing, latencies) = enqueue(node.queue(), ground, options).await?;
    let tally = Arc::new(Tally::of(jobs));
    let began = Instant::now();
    let worker = Work::start(node.queue(), Arc::clone(&tally), ground.settings(), |_| {}).await?;
    tally.all().await;
    // Over when the last end is on disk.
    worker.end().await?;
    let draining = began.elapsed();
    let rate = |took: Duration| jobs as f64 / took.as_secs_f64();
    Ok(Round {
        enqueue_per_s: rate(enqueuing),
        enqueue: latencies.told(),
        drain_per_s: rate(draining),
        through_per_s: rate(enqueuing + draining),
    })
}

/// Each caller puts in one job at a time and waits until it is on disk.
async fn enqueue(
    queue: Arc<dyn Queue<Effects = DeliveryReport>>,
    ground: &Ground,
    options: &Options,
) -> Result<(Duration, Latencies), BenchError> {
    let left = Arc::new(AtomicU64::new(options.jobs));
    let lane = work::lane(ground.settings());
    let filler = NoOp::filling();
    let mut callers = JoinSet::new();
    let began = Instant::now();
    for _ in 0..options.in_flight {
        let (queue, left) = (Arc::clone(&queue), Arc::clone(&left));
        let (lane, filler) = (lane.clone(), filler.clone());
        callers.spawn(async move {
            let mut latencies = Latencies::default();
            while take_one(&left) {
                let id = JobId::from_uuid(Uuid::now_v7());
                let job = NewJob::of(id, lane.clone(), &filler).map_err(BenchError::other)?;
                let called = Instant::now();
                queue.push(vec![job]).await?;
                latencies.add(called.elapsed());
            }
            Ok::<_, BenchError>(latencies)
        });
    }
    let mut latencies = Latencies::default();
    while let Some(ended) = callers.join_next().await {
        latencies.merge(&ended.map_err(BenchError::other)??);
    }
    Ok((began.elapsed(), latencies))
}

impl Report {
    /// The report for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!(
                "{} jobs of 1 KiB a round, put in by {} callers, drained with {} permits; all on disk",
                self.jobs, self.in_flight, self.permits
            ),
            format!(
                "{:<8} {:>12} {:>8} {:>8} {:>12} {:>12}",
                "round", "enqueue/s", "p50 ms", "p99 ms", "drain/s", "through/s"
            ),
        ];
        for (number, round) in (1..).zip(&self.rounds) {
            lines.push(format!(
                "{number:<8} {:>12.0} {:>8.2} {:>8.2} {:>12.0} {:>12.0}",
                round.enqueue_per_s,
                round.enqueue.p50_ms,
                round.enqueue.p99_ms,
                round.drain_per_s,
                round.through_per_s,
            ));
        }
        lines.push(format!(
            "best (median): enqueue {:.0} ({:.0})/s, drain {:.0} ({:.0})/s, through {:.0} ({:.0})/s",
            self.enqueue_per_s.best,
            self.enqueue_per_s.median,
            self.drain_per_s.best,
            self.drain_per_s.median,
            self.through_per_s.best,
            self.through_per_s.median,
        ));
        lines.push(format!(
            "memory with {} jobs pending: peak {:.1} MiB, at the end {:.1} MiB",
            self.jobs, self.memory.peak_mib, self.memory.now_mib
        ));
        let picked = |across: &str, told: &Percentiles| {
            format!(
                "from submit to handler on an idle {across}: p50 {:.2} ms, p99 {:.2} ms",
                told.p50_ms, told.p99_ms
            )
        };
        lines.push(picked("node", &self.pick_up));
        lines.extend(
            self.pick_up_across
                .iter()
                .map(|told| picked("system, one node accepting and another working", told)),
        );
        lines
    }
}

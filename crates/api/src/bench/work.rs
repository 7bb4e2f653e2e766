//! The work of a queue that is measured: jobs that do nothing but be counted, and a worker for them.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use posthaste_composition::{bench::SendEmail, settings::Settings};
use posthaste_domain::delivery::DeliveryReport;
use posthaste_host::{Host, HostError, Signals, Stop, Stopped};
use posthaste_queue::{
    Backoff, End, Handover, Hold, Job, JobError, JobHandler, JobMeta, Lane, LaneConfig, Outcome,
    Queue, Registry, ScopeError, ScopeFactory, SharedLimits, Worker, WorkerConfig,
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, oneshot},
    task::JoinSet,
};

use super::BenchError;

/// Does nothing, and is as large as a small mail.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct NoOp {
    filler: String,
}

impl NoOp {
    pub(super) fn filling() -> Self {
        Self {
            filler: "x".repeat(1000),
        }
    }
}

impl Job for NoOp {
    const KIND: &'static str = "bench_no_op";
}

/// The lane of the jobs: that of the mails that account mails go by.
pub(super) fn lane(settings: &Settings) -> Lane {
    let stream = settings.accounts.stream.as_str();
    stream.parse().expect("a stream's name names a lane")
}

/// Jobs in hand at a time: as many as the channel holds.
pub(super) fn permits(settings: &Settings) -> usize {
    settings.queue.channel_capacity
}

/// Counts handlers that have started.
#[derive(Debug)]
pub(super) struct Tally {
    wanted: u64,
    started: AtomicU64,
    latest: Mutex<Option<Instant>>,
    changed: Notify,
}

impl Tally {
    pub(super) fn of(wanted: u64) -> Self {
        Self {
            wanted,
            started: AtomicU64::new(0),
            latest: Mutex::default(),
            changed: Notify::new(),
        }
    }

    fn count(&self) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let started = self.started.fetch_add(1, Ordering::AcqRel) + 1;
        // Whoever follows single jobs waits for few of them.
        if started == self.wanted || self.wanted < 1000 {
            self.changed.notify_one();
        }
    }

    /// Waits for the last one.
    pub(super) async fn all(&self) {
        while self.started.load(Ordering::Acquire) < self.wanted {
            self.changed.notified().await;
        }
    }

    /// Waits for the one after `before` others, and says when it started. They run one at a time.
    pub(super) async fn started(&self, before: u64) -> Instant {
        while self.started.load(Ordering::Acquire) <= before {
            self.changed.notified().await;
        }
        let latest = *self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.expect("one has started")
    }
}

/// A worker that runs.
pub(super) struct Work {
    stop: Stop,
    host: JoinSet<Result<Stopped, HostError>>,
}

impl Work {
    /// Starts a worker on `queue`, as the settings would, but for its lane and permits. It is ready when this returns.
    pub(super) async fn start(
        queue: Arc<dyn Queue<Effects = DeliveryReport>>,
        tally: Arc<Tally>,
        settings: &Settings,
        hand_over: impl FnOnce(Arc<Handover>),
    ) -> Result<Self, BenchError> {
        let config = WorkerConfig {
            lanes: vec![LaneConfig {
                lane: lane(settings),
                priority: 0,
                permits: permits(settings),
                shared: SharedLimits::default(),
            }],
            poll: settings.queue.poll,
            recent_claim: settings.queue.recent_claim,
            deadline: settings.queue.job_deadline,
            channel_capacity: settings.queue.channel_capacity,
            backoff: Backoff::default(),
        };
        let registry = Registry::new()
            .with(Counted(Arc::clone(&tally)))
            .with(PickedUp(tally));
        let worker = Worker::new(queue, NoScope, registry, config).map_err(BenchError::other)?;
        hand_over(worker.handover());
        let (stop, (started, is_ready)) = (Stop::new(), oneshot::channel());
        let host = Host::builder()
            .service(worker)
            .signals(Signals::None)
            .stop(stop.clone())
            .on_started(|| {
                // Nobody waits any more if the start was given up.
                started.send(()).ok();
            })
            .build();
        let mut hosts = JoinSet::new();
        hosts.spawn(host.run());
        let mut work = Self { stop, host: hosts };
        if is_ready.await.is_err() {
            work.ended().await?;
            return Err(BenchError::other("the worker ended before it was ready"));
        }
        Ok(work)
    }

    /// Stops it, and waits until everything that it did is on disk.
    pub(super) async fn end(mut self) -> Result<(), BenchError> {
        self.stop.request();
        self.ended().await
    }

    async fn ended(&mut self) -> Result<(), BenchError> {
        while let Some(ended) = self.host.join_next().await {
            ended
                .map_err(BenchError::other)?
                .map_err(BenchError::other)?;
        }
        Ok(())
    }
}

struct NoScope;

type Lent<'job> = <NoScope as ScopeFactory>::Scope<'job>;

#[async_trait]
impl ScopeFactory for NoScope {
    type Root = ();
    type Scope<'job> = ();

    async fn open(&self, _job: &JobMeta, _hold: Hold) -> Result<(), ScopeError> {
        Ok(())
    }

    fn scope((): &()) {}

    async fn close(&self, (): (), _end: End) {}
}

/// Runs the jobs that do nothing.
struct Counted(Arc<Tally>);

#[async_trait]
impl JobHandler<NoScope> for Counted {
    type Job = NoOp;
    type Effects = DeliveryReport;

    async fn handle(
        &self,
        _job: NoOp,
        _scope: Lent<'_>,
    ) -> Result<Outcome<DeliveryReport>, JobError> {
        self.0.count();
        Ok(Outcome::done())
    }
}

/// Takes the job of a mail, and sends nothing.
struct PickedUp(Arc<Tally>);

#[async_trait]
impl JobHandler<NoScope> for PickedUp {
    type Job = SendEmail;
    type Effects = DeliveryReport;

    async fn handle(
        &self,
        _job: SendEmail,
        _scope: Lent<'_>,
    ) -> Result<Outcome<DeliveryReport>, JobError> {
        self.0.count();
        Ok(Outcome::done())
    }
}

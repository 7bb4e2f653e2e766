//! A worker, its queue, and handlers that do as their job says.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use posthaste_host::{HostedService, Ready, Stop};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use uuid::Uuid;

use super::faulty::Faulty;
use crate::{
    Backoff, End, Handover, Hold, Job, JobError, JobHandler, JobId, JobMeta, Lane, LaneConfig,
    MemoryQueue, NewJob, Outcome, Queue, Registry, ScopeError, ScopeFactory, SharedLimits, Worker,
    WorkerConfig,
};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// What a job of the tests does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Act {
    Succeed,
    /// Waits until [`Bench::go_on`] lets one such job go.
    Wait,
    Fail,
    Panic,
    Hang,
    /// Panics while its scope opens, or closes.
    PanicInOpen,
    PanicInClose,
}

impl Job for Act {
    const KIND: &'static str = "act";
}

/// What was seen of scopes.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) opened: AtomicU32,
    pub(super) ends: Mutex<Vec<(JobId, End)>>,
    pub(super) running: AtomicU32,
    pub(super) most_running: AtomicU32,
    pub(super) gate_shut_at_close: AtomicBool,
    started: watch::Sender<u32>,
    ended: watch::Sender<u32>,
}

pub(super) struct Scopes(Arc<Seen>, Arc<Semaphore>);

pub(super) struct Root {
    job: JobMeta,
    stop: Stop,
    seen: Arc<Seen>,
    permits: Arc<Semaphore>,
}

#[async_trait]
impl ScopeFactory for Scopes {
    type Root = Root;
    type Scope<'job> = &'job Root;

    async fn open(&self, job: &JobMeta, hold: Hold) -> Result<Root, ScopeError> {
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        assert_ne!(job.kind, "panic-in-open");
        Ok(Root {
            job: job.clone(),
            stop: hold.stop().clone(),
            seen: Arc::clone(&self.0),
            permits: Arc::clone(&self.1),
        })
    }

    fn scope(root: &Root) -> &Root {
        root
    }

    async fn close(&self, root: Root, end: End) {
        self.0
            .gate_shut_at_close
            .store(root.stop.is_forced(), Ordering::SeqCst);
        self.0.ends.lock().unwrap().push((root.job.id, end));
        self.0.ended.send_modify(|ended| *ended += 1);
        assert_ne!(root.job.kind, "panic-in-close");
    }
}

/// Counts a running handler, dropped ones too.
struct Running<'a>(&'a Seen);

impl<'a> Running<'a> {
    fn begin(seen: &'a Seen) -> Self {
        let now = seen.running.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most_running.fetch_max(now, Ordering::SeqCst);
        seen.started.send_modify(|started| *started += 1);
        Self(seen)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) struct Handler;

#[async_trait]
impl JobHandler<Scopes> for Handler {
    type Job = Act;
    type Effects = u32;

    async fn handle(&self, job: Act, root: &Root) -> Result<Outcome<u32>, JobError> {
        let _running = Running::begin(&root.seen);
        match job {
            Act::Succeed | Act::PanicInOpen | Act::PanicInClose => {
                Ok(Outcome::done().with(root.job.attempt))
            }
            Act::Wait => {
                root.permits
                    .acquire()
                    .await
                    .map_err(JobError::new)?
                    .forget();
                Ok(Outcome::done().with(root.job.attempt))
            }
            Act::Fail => Err(JobError::new("no luck")),
            Act::Panic => panic!("boom"),
            Act::Hang => std::future::pending().await,
        }
    }
}

macro_rules! as_kind {
    ($name:ident, $kind:literal) => {
        #[derive(Debug, Serialize, Deserialize)]
        pub(super) struct $name(Act);
        impl Job for $name {
            const KIND: &'static str = $kind;
        }
        #[async_trait]
        impl JobHandler<Scopes> for Wrapped<$name> {
            type Job = $name;
            type Effects = u32;
            async fn handle(&self, job: $name, root: &Root) -> Result<Outcome<u32>, JobError> {
                Handler.handle(job.0, root).await
            }
        }
    };
}

pub(super) struct Wrapped<T>(std::marker::PhantomData<fn() -> T>);
as_kind!(InOpen, "panic-in-open");
as_kind!(InClose, "panic-in-close");

/// A worker under test.
pub(super) struct Bench {
    pub(super) queue: Arc<Faulty>,
    pub(super) seen: Arc<Seen>,
    pub(super) effects: Arc<Mutex<Vec<u32>>>,
    pub(super) handover: Arc<Handover>,
    pub(super) stop: Stop,
    permits: Arc<Semaphore>,
    service: JoinSet<()>,
    pushed: u128,
}

pub(super) fn lane(name: &str) -> Lane {
    name.parse().expect("a valid lane")
}

pub(super) fn config(lanes: &[(&str, i32, usize)]) -> WorkerConfig {
    let config = |(name, priority, permits): &(&str, i32, usize)| LaneConfig {
        lane: lane(name),
        priority: *priority,
        permits: *permits,
        shared: SharedLimits::default(),
    };
    WorkerConfig {
        lanes: lanes.iter().map(config).collect(),
        poll: SECOND,
        recent_claim: 2 * SECOND,
        deadline: 60 * SECOND,
        channel_capacity: 100,
        backoff: Backoff {
            first: 10 * SECOND,
            longest: 40 * SECOND,
            attempts: 3,
        },
    }
}

impl Bench {
    /// A worker with `permits` for lane `a`, not started yet.
    pub(super) fn prepared(config: WorkerConfig) -> (Self, Worker<Scopes, Faulty>) {
        let effects = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&effects);
        let queue = Arc::new(Faulty {
            inner: MemoryQueue::with_effects(move |effect: &u32| {
                told.lock().unwrap().push(*effect)
            }),
            refuse_settles: AtomicU32::new(0),
            lose_settle_answers: AtomicU32::new(0),
            lose_claim_answers: AtomicU32::new(0),
            settle_gate: Mutex::default(),
            judged: AtomicBool::new(false),
            claims: Mutex::default(),
            lives: Mutex::default(),
            stop_at_claim: Mutex::default(),
            settled: Mutex::default(),
        });
        let (seen, permits) = (Arc::new(Seen::default()), Arc::new(Semaphore::new(0)));
        let registry = Registry::new()
            .with(Handler)
            .with(Wrapped::<InOpen>(std::marker::PhantomData))
            .with(Wrapped::<InClose>(std::marker::PhantomData));
        let scopes = Scopes(Arc::clone(&seen), Arc::clone(&permits));
        let worker = Worker::new(Arc::clone(&queue), scopes, registry, config)
            .expect("a sound configuration");
        let handover = worker.handover();
        let stop = Stop::new();
        let bench = Self {
            queue,
            seen,
            effects,
            handover,
            stop,
            permits,
            service: JoinSet::new(),
            pushed: 0,
        };
        (bench, worker)
    }

    pub(super) async fn begin(&mut self, worker: Worker<Scopes, Faulty>) {
        let (ready, is_ready) = Ready::channel();
        let service = Box::new(worker).run(ready, self.stop.clone());
        self.service
            .spawn(async move { service.await.expect("the worker ends in order") });
        is_ready.await.expect("the worker gets ready");
    }

    pub(super) async fn start(permits: usize) -> Self {
        let (mut bench, worker) = Self::prepared(config(&[("a", 0, permits)]));
        bench.begin(worker).await;
        bench
    }

    /// The same on a queue whose nodes are judged; whoever tests it beats for them.
    pub(super) async fn judged(permits: usize) -> Self {
        let (mut bench, worker) = Self::prepared(config(&[("a", 0, permits)]));
        bench.queue.judged.store(true, Ordering::SeqCst);
        bench.begin(worker).await;
        bench
    }

    pub(super) async fn push(&mut self, act: &Act) -> JobId {
        self.push_to("a", act).await
    }

    pub(super) async fn push_to(&mut self, lane_name: &str, act: &Act) -> JobId {
        self.pushed += 1;
        let id = JobId::from_uuid(Uuid::from_u128(self.pushed));
        let mut job = NewJob::of(id, lane(lane_name), act).expect("acts are JSON");
        match act {
            Act::PanicInOpen => job.kind = InOpen::KIND.to_owned(),
            Act::PanicInClose => job.kind = InClose::KIND.to_owned(),
            _ => {}
        }
        self.queue
            .push(vec![job])
            .await
            .expect("the memory queue takes jobs");
        self.handover.work_waits(&lane(lane_name));
        id
    }

    /// Lets one waiting job go.
    pub(super) fn go_on(&self) {
        self.permits.add_permits(1);
    }

    pub(super) async fn started(&self, count: u32) {
        self.seen
            .started
            .subscribe()
            .wait_for(|started| *started >= count)
            .await
            .expect("the sender lives");
    }

    pub(super) async fn ended(&self, count: u32) {
        self.seen
            .ended
            .subscribe()
            .wait_for(|ended| *ended >= count)
            .await
            .expect("the sender lives");
    }

    /// Lets everything that is due happen: paused time moves on only when every task waits.
    pub(super) async fn settle_down(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    pub(super) fn ends(&self) -> BTreeMap<JobId, Vec<End>> {
        let mut ends: BTreeMap<JobId, Vec<End>> = BTreeMap::new();
        for (job, end) in self.seen.ends.lock().unwrap().iter() {
            ends.entry(*job).or_default().push(*end);
        }
        ends
    }

    pub(super) async fn finish(&mut self) {
        self.stop.request();
        self.service
            .join_next()
            .await
            .expect("the worker runs")
            .expect("the worker does not panic");
    }

    pub(super) fn is_over(&mut self) -> bool {
        self.service.try_join_next().is_some() || self.service.is_empty()
    }
}

//! The worker: a hosted service that claims jobs, runs each in a scope of its own and settles them.
//!
//! ```text
//!  producer ──► bounded channel ──► executors ──► settler
//!  claims as     (hand-over from     a scope per    settles in batches;
//!  many as are    accepting stores    job, panics    a permit is free only
//!  free permits   enters here too)    and deadline   after the commit
//! ```
//!
//! On stop nothing more is claimed or handed over; what was claimed and not begun is given back with its attempt
//! unspent; what runs is finished, until the stop is forced: then it is dropped and given back too.

mod apart;
mod executor;
mod holdings;
mod producer;
mod settler;
mod upkeep;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use apart::Apart;
use async_trait::async_trait;
use executor::{Executor, Runner};
pub(crate) use holdings::Holdings;
use posthaste_host::{HostedService, Ready, ServiceError, Stop};
use producer::Producer;
use settler::Settler;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tracing::{info, warn};

use crate::{
    backoff::Backoff,
    channel::{self, FullMode},
    handover::{Handover, Life},
    job::Lane,
    lease::BootId,
    pulse::Pulse,
    queue::{Queue, QueueError, SharedLimits},
    registry::Registry,
    scope::ScopeFactory,
};

/// One lane of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneConfig {
    /// The lane.
    pub lane: Lane,
    /// Lanes of higher priority are claimed first.
    pub priority: i32,
    /// Most jobs of it in hand at a time.
    pub permits: usize,
    /// What holds for all nodes together.
    pub shared: SharedLimits,
}

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// The lanes it serves.
    pub lanes: Vec<LaneConfig>,
    /// How often it looks for work that it was not told of.
    pub poll: Duration,
    /// How fresh a claim that found nothing must be for work to be handed over.
    pub recent_claim: Duration,
    /// How long one attempt may run, counted from its handler's start.
    pub deadline: Duration,
    /// Most jobs between claim and start.
    pub channel_capacity: usize,
    /// The waits after attempts whose handler failed.
    pub backoff: Backoff,
}

/// A configuration that no worker can follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// No lane, or a lane without permits.
    #[error("a worker needs at least one lane, and each lane at least one permit")]
    NoPermits,
    /// A claimed job could find the channel full.
    #[error("the lanes have {permits} permits in all, the channel holds only {capacity} jobs")]
    ChannelTooSmall {
        /// Permits of all lanes.
        permits: usize,
        /// The channel's capacity.
        capacity: usize,
    },
}

/// Claims, runs and settles the jobs of its lanes.
pub struct Worker<F: ScopeFactory, Q: Queue + ?Sized> {
    queue: Arc<Q>,
    factory: Arc<F>,
    registry: Registry<F, Q::Effects>,
    config: WorkerConfig,
    boot: BootId,
    permits: BTreeMap<Lane, Arc<Semaphore>>,
    handover: Arc<Handover>,
}

impl<F: ScopeFactory, Q: Queue + ?Sized> Worker<F, Q> {
    /// A worker with a boot id of its own.
    ///
    /// # Errors
    /// [`WorkerError`] for a configuration that cannot work.
    pub fn new(
        queue: Arc<Q>,
        factory: F,
        registry: Registry<F, Q::Effects>,
        mut config: WorkerConfig,
    ) -> Result<Self, WorkerError> {
        if config.lanes.is_empty() || config.lanes.iter().any(|lane| lane.permits == 0) {
            return Err(WorkerError::NoPermits);
        }
        let total = config.lanes.iter().map(|lane| lane.permits).sum();
        if total > config.channel_capacity {
            return Err(WorkerError::ChannelTooSmall {
                permits: total,
                capacity: config.channel_capacity,
            });
        }
        config
            .lanes
            .sort_by_key(|lane| std::cmp::Reverse(lane.priority));
        let permits: BTreeMap<_, _> = config
            .lanes
            .iter()
            .map(|l| (l.lane.clone(), Arc::new(Semaphore::new(l.permits))))
            .collect();
        let lanes = config.lanes.iter().filter_map(|lane| {
            let permits = Arc::clone(permits.get(&lane.lane)?);
            Some((lane.lane.clone(), permits, lane.shared))
        });
        let handover = Arc::new(Handover::new(lanes, config.recent_claim));
        Ok(Self {
            queue,
            factory: Arc::new(factory),
            registry,
            config,
            boot: BootId::random(),
            permits,
            handover,
        })
    }

    /// What a store needs to hand freshly accepted work over to this worker.
    #[must_use]
    pub fn handover(&self) -> Arc<Handover> {
        Arc::clone(&self.handover)
    }

    /// The id under which this worker first holds leases. It takes another one if the other nodes hold it for dead.
    #[must_use]
    pub fn boot(&self) -> BootId {
        self.boot
    }
}

impl<F: ScopeFactory, Q: Queue + ?Sized> fmt::Debug for Worker<F, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("boot", &self.boot)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<F: ScopeFactory, Q: Queue + ?Sized> HostedService for Worker<F, Q> {
    fn name(&self) -> &str {
        "worker"
    }

    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<(), ServiceError> {
        let Self {
            queue,
            factory,
            registry,
            config,
            mut boot,
            permits,
            handover,
        } = *self;
        let total = config.lanes.iter().map(|lane| lane.permits).sum::<usize>();
        let runner = Arc::new(Runner::new(factory, registry, &config));
        let mut ready = Some(ready);
        // A life that has ended may still wait for replies: it is let go on beside the next one.
        let mut lives = JoinSet::new();
        let mut boots = Vec::new();
        loop {
            let Some(pulse) = join(&*queue, boot, &stop, ready.is_some()).await? else {
                break;
            };
            boots.push(boot);
            let (sender, receiver) = channel::bounded(config.channel_capacity, FullMode::Wait);
            let (ended, endings) = mpsc::channel(total);
            let life = Life {
                boot,
                pulse: pulse.clone(),
                channel: sender,
                controls: queue.controls(),
                holdings: Arc::default(),
            };
            let apart = Arc::new(Apart::default());
            let executor = Executor::new(Arc::clone(&runner), &life, Arc::clone(&apart), ended);
            let (q, h) = (Arc::clone(&queue), Arc::clone(&handover));
            let settler = Settler::new(q, h, Arc::clone(&life.holdings), endings);
            let (q, h) = (Arc::clone(&queue), Arc::clone(&handover));
            let producer = Producer::new(q, h, life.clone(), apart, &permits, &config);
            handover.open(life);
            info!(node = %boot, lanes = config.lanes.len(), permits = total, "worker started");
            if let Some(ready) = ready.take() {
                ready.ready();
            }
            let life = stop.child();
            let ending = life.clone();
            lives.spawn(async move {
                // The three parts end one behind the other: no more claims, then no more jobs running, then no more to
                // settle.
                tokio::join!(
                    producer.run(&life),
                    executor.run(receiver, &life),
                    settler.run(&life)
                );
            });
            let end = tokio::select! {
                () = stop.requested() => LifeEnd::Stop,
                () = pulse.died() => LifeEnd::Death,
                Some(Err(panic)) = lives.join_next() => return Err(panic.into()),
            };
            match end {
                LifeEnd::Stop => break,
                LifeEnd::Death => {
                    warn!(node = %boot, "the other nodes hold this one for dead; going on under another id");
                    ending.request();
                    boot = BootId::random();
                }
            }
        }
        while let Some(ended) = lives.join_next().await {
            ended?;
        }
        for boot in boots {
            queue.leave(boot).await?;
            info!(node = %boot, "worker stopped");
        }
        Ok(())
    }
}

enum LifeEnd {
    Stop,
    Death,
}

/// Enters the queue; `None` if a stop was requested first. At the start a failure ends the service, later it is tried
/// again: the database that lost this node may still be away.
async fn join<Q: Queue + ?Sized>(
    queue: &Q,
    boot: BootId,
    stop: &Stop,
    first: bool,
) -> Result<Option<Pulse>, QueueError> {
    const PAUSE: Duration = Duration::from_secs(1);
    loop {
        match queue.join(boot).await {
            Ok(pulse) => return Ok(Some(pulse)),
            Err(error) if first => return Err(error),
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot join the queue; trying again"
                );
            }
        }
        tokio::select! {
            () = stop.requested() => return Ok(None),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// A number drawn evenly from 0 to 1.
fn jitter() -> f64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    // The upper 32 bits of a version 4 UUID are all random.
    f64::from(u32::try_from(high >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;

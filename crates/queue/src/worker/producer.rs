//! Claims as many jobs as there are free permits, and no more: what is claimed can begin at once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use posthaste_host::Stop;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tracing::{debug, info, warn};

use super::{
    LaneConfig, WorkerConfig,
    apart::Apart,
    jitter,
    upkeep::{Upkeep, give_back},
};
use crate::{
    channel::Closed,
    handover::{Found, Handover, Held, Life},
    job::{ClaimedJob, Lane},
    queue::{ClaimRequest, Claimed, LaneDemand, Queue, QueueError, SharedLimits},
    suspect::{APART_FROM, UP_FOR},
};

/// A claim whose answer comes later is given back: by then others may have taken this node for dead.
const LATEST_CLAIM: Duration = Duration::from_secs(5);
/// How often due jobs are looked for while there is other work.
const PROMOTION: Duration = Duration::from_millis(100);
/// How often a job is looked for that must run apart.
const SUSPECTS: Duration = Duration::from_secs(1);

pub(super) struct Producer<Q: ?Sized> {
    queue: Arc<Q>,
    handover: Arc<Handover>,
    life: Life,
    born: Instant,
    apart: Arc<Apart>,
    upkeep: Upkeep<Q>,
    /// The most urgent first.
    lanes: Vec<(Lane, Arc<Semaphore>, SharedLimits)>,
    poll: Duration,
    promoted: Option<Promotion>,
    looked_for_suspects: Option<Instant>,
}

/// When due jobs were looked for, and when the next one was due.
#[derive(Clone, Copy)]
struct Promotion {
    at: Instant,
    next: Option<Instant>,
}

/// Why the producer looks again.
enum Wake {
    Stop,
    Work,
    Poll,
}

type Taken = BTreeMap<Lane, OwnedSemaphorePermit>;

impl<Q: Queue + ?Sized> Producer<Q> {
    pub(super) fn new(
        queue: Arc<Q>,
        handover: Arc<Handover>,
        life: Life,
        apart: Arc<Apart>,
        permits: &BTreeMap<Lane, Arc<Semaphore>>,
        config: &WorkerConfig,
    ) -> Self {
        let lane = |config: &LaneConfig| {
            let (lane, permits) = permits.get_key_value(&config.lane)?;
            Some((lane.clone(), Arc::clone(permits), config.shared))
        };
        Self {
            upkeep: Upkeep::new(Arc::clone(&queue), life.clone()),
            queue,
            handover,
            life,
            born: Instant::now(),
            apart,
            lanes: config.lanes.iter().filter_map(lane).collect(),
            poll: config.poll,
            promoted: None,
            looked_for_suspects: None,
        }
    }

    /// Runs until a stop is requested. A claim under way is always awaited: were it dropped, its jobs would be held by
    /// nobody.
    pub(super) async fn run(mut self, stop: &Stop) {
        let mut healthy = true;
        let mut wait = Duration::ZERO;
        loop {
            match self.wake(stop, wait).await {
                Wake::Stop => break,
                Wake::Work | Wake::Poll => {}
            }
            // Jitter keeps nodes that were started together from polling together.
            let poll = self.poll.mul_f64(0.9 + 0.2 * jitter());
            wait = match self.round().await {
                Ok(next) => {
                    if !healthy {
                        info!("the queue answers again");
                    }
                    healthy = true;
                    next.map_or(poll, |next| next.min(poll))
                }
                Err(error) => {
                    if healthy {
                        warn!(
                            error = &error as &dyn std::error::Error,
                            "the queue does not answer; trying again"
                        );
                    }
                    healthy = false;
                    poll
                }
            };
        }
        self.handover.close();
    }

    async fn wake(&self, stop: &Stop, wait: Duration) -> Wake {
        tokio::select! {
            biased;
            () = stop.requested() => Wake::Stop,
            () = self.handover.wait_for_work() => Wake::Work,
            () = tokio::time::sleep(wait) => Wake::Poll,
        }
    }

    /// Makes due jobs ready and claims for every free permit. Says when there may be more. A node that cannot confirm its
    /// beats claims nothing: others may hold it for dead already.
    async fn round(&mut self) -> Result<Option<Duration>, QueueError> {
        self.upkeep.round().await?;
        let due = self.promote().await?;
        if !self.life.pulse.is_fresh() {
            return Ok(due);
        }
        self.claim_suspect().await?;
        if self.apart.is_alone() {
            // What is accepted meanwhile is not handed over either.
            for (lane, ..) in &self.lanes {
                self.handover.claimed(lane, Found::Work);
            }
            return Ok(due);
        }
        let throttled = self.claim().await?;
        Ok(due.into_iter().chain(throttled).min())
    }

    /// Makes due jobs ready, and says when the next one is due.
    async fn promote(&mut self) -> Result<Option<Duration>, QueueError> {
        let now = Instant::now();
        let due = |last: &Promotion| {
            now - last.at >= PROMOTION || last.next.is_some_and(|next| next <= now)
        };
        let last = match self.promoted.filter(|last| !due(last)) {
            Some(last) => last,
            None => {
                let promoted = self.queue.promote().await?;
                if promoted.expired > 0 {
                    info!(
                        jobs = promoted.expired,
                        "jobs were taken out, for their time is over"
                    );
                }
                let next = promoted.next_due.map(|due| Instant::now() + due);
                *self.promoted.insert(Promotion { at: now, next })
            }
        };
        Ok(last
            .next
            .map(|next| next.saturating_duration_since(Instant::now())))
    }

    /// Claims one job that must run apart, once this node has been up for long enough and if none is in hand.
    async fn claim_suspect(&mut self) -> Result<(), QueueError> {
        let looked = self.looked_for_suspects;
        if self.born.elapsed() < UP_FOR
            || self.apart.is_in_hand()
            || looked.is_some_and(|looked| looked.elapsed() < SUSPECTS)
        {
            return Ok(());
        }
        self.looked_for_suspects = Some(Instant::now());
        let mut taken = Taken::new();
        for (lane, permits, _) in &self.lanes {
            if !self.life.controls.is_paused(lane)
                && let Ok(permit) = Arc::clone(permits).try_acquire_owned()
            {
                taken.insert(lane.clone(), permit);
            }
        }
        let lanes: Vec<_> = taken.keys().cloned().collect();
        let asked = Instant::now();
        let Some(job) = self.queue.claim_suspect(self.life.boot, &lanes).await? else {
            return Ok(());
        };
        warn!(
            job.id = %job.meta.id,
            crashes = job.meta.crashes,
            "a job that was in hand at several crashes runs apart"
        );
        self.apart.begin();
        self.start(vec![job], taken, asked).await
    }

    /// Claims for every free permit, and says when a throttled lane can go on.
    async fn claim(&self) -> Result<Option<Duration>, QueueError> {
        let mut taken = Taken::new();
        let mut lanes = Vec::new();
        for (lane, permits, shared) in &self.lanes {
            if self.life.controls.is_paused(lane) {
                continue;
            }
            let free = permits.available_permits();
            let Ok(wanted) = u32::try_from(free) else {
                continue;
            };
            // Taken before the claim, so that a hand-over cannot use them meanwhile.
            if wanted > 0
                && let Ok(permit) = Arc::clone(permits).try_acquire_many_owned(wanted)
            {
                taken.insert(lane.clone(), permit);
                lanes.push(LaneDemand {
                    lane: lane.clone(),
                    limit: free,
                    shared: *shared,
                });
            } else {
                self.handover.claimed(lane, Found::Work);
            }
        }
        if lanes.is_empty() {
            return Ok(None);
        }
        let (boot, asked) = (self.life.boot, Instant::now());
        let Claimed { jobs, throttled } = self.queue.claim(ClaimRequest { boot, lanes }).await?;
        for lane in taken.keys() {
            let found = jobs.iter().any(|job| &job.meta.lane == lane);
            self.handover
                .claimed(lane, if found { Found::Work } else { Found::Nothing });
        }
        if !jobs.is_empty() {
            debug!(jobs = jobs.len(), "claimed jobs");
        }
        self.start(jobs, taken, asked).await?;
        Ok(throttled)
    }

    /// Sends claimed jobs to the executors, or gives all back if the claim was answered too late.
    async fn start(
        &self,
        jobs: Vec<ClaimedJob>,
        mut taken: Taken,
        asked: Instant,
    ) -> Result<(), QueueError> {
        if asked.elapsed() > LATEST_CLAIM {
            warn!(
                jobs = jobs.len(),
                "a claim was answered too late; giving it back"
            );
            if jobs.iter().any(|job| job.meta.crashes >= APART_FROM) {
                self.apart.end();
            }
            return give_back(&*self.queue, jobs.into_iter().map(|job| job.lease)).await;
        }
        for job in jobs {
            let permit = taken
                .get_mut(&job.meta.lane)
                .and_then(|permits| permits.split(1));
            let permit =
                permit.expect("a queue never gives out more jobs of a lane than were asked for");
            self.life.holdings.hold(&job.lease);
            if let Err(Closed(held)) = self.life.channel.send(Held { job, permit }).await {
                // The executor closed the channel between claim and start: leaving the queue gives the job back.
                debug!(job.id = %held.job.meta.id, "claimed while stopping");
            }
        }
        Ok(())
    }
}

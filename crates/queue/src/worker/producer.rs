//! Claims as many jobs as there are free permits, and no more: what is claimed can begin at once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use posthaste_host::Stop;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tracing::{debug, info, warn};

use super::{LaneConfig, Node, WorkerConfig, jitter};
use crate::{
    channel::{Closed, Sender},
    handover::{Found, Handover, Held},
    job::{ClaimedJob, Lane},
    lease::BootId,
    pulse::Pulse,
    queue::{ClaimRequest, LaneDemand, Queue, QueueError, Swept},
    verdict::{Settlement, Verdict},
};

/// How often a node looks after the others.
const SWEEP: Duration = Duration::from_secs(1);
/// A claim whose answer comes later is given back: by then others may have taken this node for dead.
const LATEST_CLAIM: Duration = Duration::from_secs(5);

pub(super) struct Producer<Q: ?Sized> {
    queue: Arc<Q>,
    handover: Arc<Handover>,
    boot: BootId,
    pulse: Pulse,
    channel: Sender<Held>,
    /// The most urgent first.
    lanes: Vec<(Lane, Arc<Semaphore>)>,
    poll: Duration,
}

/// Why the producer looks again.
enum Wake {
    Stop,
    Work,
    Poll,
}

impl<Q: Queue + ?Sized> Producer<Q> {
    pub(super) fn new(
        queue: Arc<Q>,
        handover: Arc<Handover>,
        node: Node,
        permits: &BTreeMap<Lane, Arc<Semaphore>>,
        config: &WorkerConfig,
    ) -> Self {
        let lane = |config: &LaneConfig| {
            let (lane, permits) = permits.get_key_value(&config.lane)?;
            Some((lane.clone(), Arc::clone(permits)))
        };
        let Node {
            boot,
            pulse,
            channel,
        } = node;
        Self {
            queue,
            handover,
            boot,
            pulse,
            channel,
            lanes: config.lanes.iter().filter_map(lane).collect(),
            poll: config.poll,
        }
    }

    /// Runs until a stop is requested. A claim under way is always awaited: were it dropped, its jobs would be held by
    /// nobody.
    pub(super) async fn run(self, stop: &Stop) {
        let mut healthy = true;
        let mut wait = Duration::ZERO;
        let mut last_sweep = None;
        loop {
            match self.wake(stop, wait).await {
                Wake::Stop => break,
                Wake::Work | Wake::Poll => {}
            }
            // Jitter keeps nodes that were started together from polling together.
            let poll = self.poll.mul_f64(0.9 + 0.2 * jitter());
            wait = match self.round(&mut last_sweep).await {
                Ok(next_due) => {
                    if !healthy {
                        info!("the queue answers again");
                    }
                    healthy = true;
                    next_due.map_or(poll, |due| due.min(poll))
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

    /// Looks after the other nodes, once a second.
    async fn sweep(&self, last: &mut Option<Instant>) -> Result<(), QueueError> {
        if last.is_some_and(|last| last.elapsed() < SWEEP) {
            return Ok(());
        }
        *last = Some(Instant::now());
        let swept = self.queue.sweep().await?;
        if swept != Swept::default() {
            warn!(
                nodes = swept.nodes,
                jobs = swept.jobs,
                "took back the jobs of nodes that are gone"
            );
        }
        Ok(())
    }

    /// Makes due jobs ready and claims for every free permit. Says when the next waiting job is due. A node that cannot
    /// confirm its beats claims nothing: others may hold it for dead already.
    async fn round(
        &self,
        last_sweep: &mut Option<Instant>,
    ) -> Result<Option<Duration>, QueueError> {
        self.sweep(last_sweep).await?;
        let promoted = self.queue.promote().await?;
        if !self.pulse.is_fresh() {
            return Ok(promoted.next_due);
        }
        let mut taken: BTreeMap<Lane, OwnedSemaphorePermit> = BTreeMap::new();
        let mut lanes = Vec::new();
        for (lane, permits) in &self.lanes {
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
                });
            } else {
                self.handover.claimed(lane, Found::Work);
            }
        }
        if lanes.is_empty() {
            return Ok(promoted.next_due);
        }
        let asked = Instant::now();
        let claimed = self
            .queue
            .claim(ClaimRequest {
                boot: self.boot,
                lanes,
            })
            .await?;
        for lane in taken.keys() {
            let found = claimed.iter().any(|job| &job.meta.lane == lane);
            self.handover
                .claimed(lane, if found { Found::Work } else { Found::Nothing });
        }
        if !claimed.is_empty() {
            debug!(jobs = claimed.len(), "claimed jobs");
        }
        if asked.elapsed() > LATEST_CLAIM {
            warn!(
                jobs = claimed.len(),
                "a claim was answered too late; giving it back"
            );
            self.give_back(claimed).await?;
            return Ok(promoted.next_due);
        }
        for job in claimed {
            self.start(job, &mut taken).await;
        }
        Ok(promoted.next_due)
    }

    async fn give_back(&self, claimed: Vec<ClaimedJob>) -> Result<(), QueueError> {
        let release = |job: ClaimedJob| Settlement {
            lease: job.lease,
            verdict: Verdict::Release,
            effects: None,
        };
        let batch: Arc<[_]> = claimed.into_iter().map(release).collect();
        self.queue.settle(batch).await.map(|_| ())
    }

    async fn start(&self, job: ClaimedJob, taken: &mut BTreeMap<Lane, OwnedSemaphorePermit>) {
        let permit = taken
            .get_mut(&job.meta.lane)
            .and_then(|permits| permits.split(1));
        let permit =
            permit.expect("a queue never gives out more jobs of a lane than were asked for");
        if let Err(Closed(held)) = self.channel.send(Held { job, permit }).await {
            // The executor closed the channel between claim and start: leaving the queue gives the job back.
            debug!(job.id = %held.job.meta.id, "claimed while stopping");
        }
    }
}

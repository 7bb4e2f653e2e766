//! A queue in memory: for tests, and for applications whose jobs may die with the process.
//!
//! It passes the same contract as the backends on a database and runs in tokio's paused time.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{
    job::{ClaimedJob, JobId, JobMeta, Lane, NewJob},
    lease::{BootId, Fence, Lease},
    pulse::Pulse,
    queue::{ClaimRequest, Promoted, Pushed, Queue, QueueError, Settled, Swept},
    verdict::{Settlement, Verdict},
};

/// A job as it stands in memory, for assertions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: JobId,
    /// Its lane.
    pub lane: Lane,
    /// Attempts spent, the running one included.
    pub attempts: u32,
    /// Crashes counted.
    pub crashes: u32,
    /// The newest fence given out; `None` before the first claim.
    pub fence: Option<Fence>,
    /// Whether it is held by a lease.
    pub leased: bool,
}

/// Jobs in memory. `E` is what settlements commit: the hook given to [`MemoryQueue::with_effects`] sees it.
pub struct MemoryQueue<E> {
    state: Mutex<State>,
    on_effects: Box<dyn Fn(&E) + Send + Sync>,
}

#[derive(Default)]
struct State {
    jobs: HashMap<JobId, Row>,
    /// Ready jobs by lane, in the order in which they became ready.
    ready: BTreeMap<(Lane, u64), JobId>,
    sequence: u64,
    dead: Vec<(JobId, String)>,
}

struct Row {
    lane: Lane,
    kind: String,
    payload: String,
    attempts: u32,
    crashes: u32,
    fence: Option<Fence>,
    place: Place,
}

enum Place {
    Ready,
    Scheduled(Instant),
    Leased(BootId),
}

impl<E> MemoryQueue<E> {
    /// An empty queue that ignores effects.
    #[must_use]
    pub fn new() -> Self {
        Self::with_effects(|_| {})
    }

    /// An empty queue that shows the effects of each applied settlement to `on_effects`.
    #[must_use]
    pub fn with_effects(on_effects: impl Fn(&E) + Send + Sync + 'static) -> Self {
        Self {
            state: Mutex::default(),
            on_effects: Box::new(on_effects),
        }
    }

    /// All live jobs, in the order of their ids.
    #[must_use]
    pub fn jobs(&self) -> Vec<Snapshot> {
        let state = self.state();
        let mut jobs: Vec<_> = state
            .jobs
            .iter()
            .map(|(id, row)| row.snapshot(*id))
            .collect();
        jobs.sort_by_key(|job| job.id);
        jobs
    }

    /// Jobs that need a person, with the reason, oldest first.
    #[must_use]
    pub fn dead(&self) -> Vec<(JobId, String)> {
        self.state().dead.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E> Default for MemoryQueue<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for MemoryQueue<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryQueue")
            .field("jobs", &self.state().jobs.len())
            .finish_non_exhaustive()
    }
}

impl Row {
    fn snapshot(&self, id: JobId) -> Snapshot {
        Snapshot {
            id,
            lane: self.lane.clone(),
            attempts: self.attempts,
            crashes: self.crashes,
            fence: self.fence,
            leased: matches!(self.place, Place::Leased(_)),
        }
    }

    fn holds(&self, lease: &Lease) -> bool {
        self.fence == Some(lease.fence)
            && matches!(self.place, Place::Leased(boot) if boot == lease.boot)
    }
}

impl State {
    fn make_ready(&mut self, id: JobId) {
        if let Some(row) = self.jobs.get_mut(&id) {
            row.place = Place::Ready;
            self.ready.insert((row.lane.clone(), self.sequence), id);
            self.sequence += 1;
        }
    }

    fn wait(&mut self, id: JobId, after: Duration) {
        if after.is_zero() {
            self.make_ready(id);
        } else if let Some(row) = self.jobs.get_mut(&id) {
            row.place = Place::Scheduled(Instant::now() + after);
        }
    }

    fn push(&mut self, job: NewJob) -> Pushed {
        if self.jobs.contains_key(&job.id) {
            return Pushed::Known;
        }
        let NewJob {
            id,
            lane,
            kind,
            payload,
            delay,
        } = job;
        let row = Row {
            lane,
            kind,
            payload,
            attempts: 0,
            crashes: 0,
            fence: None,
            place: Place::Ready,
        };
        self.jobs.insert(id, row);
        self.wait(id, delay);
        Pushed::Stored
    }

    fn claim(&mut self, boot: BootId, lane: &Lane, limit: usize) -> Vec<ClaimedJob> {
        let of_lane = (lane.clone(), 0)..=(lane.clone(), u64::MAX);
        let keys: Vec<_> = self
            .ready
            .range(of_lane)
            .map(|(key, _)| key.clone())
            .take(limit)
            .collect();
        let ids = keys
            .iter()
            .filter_map(|key| self.ready.remove(key))
            .collect::<Vec<_>>();
        ids.into_iter()
            .filter_map(|id| self.lease(boot, id))
            .collect()
    }

    fn lease(&mut self, boot: BootId, id: JobId) -> Option<ClaimedJob> {
        let row = self.jobs.get_mut(&id)?;
        let fence = row.fence.map_or(Fence::FIRST, Fence::next);
        row.fence = Some(fence);
        row.attempts += 1;
        row.place = Place::Leased(boot);
        let meta = JobMeta {
            id,
            lane: row.lane.clone(),
            kind: row.kind.clone(),
            attempt: row.attempts,
            crashes: row.crashes,
        };
        Some(ClaimedJob {
            lease: Lease {
                job: id,
                fence,
                boot,
            },
            meta,
            payload: row.payload.clone(),
        })
    }

    fn settle(&mut self, lease: &Lease, verdict: &Verdict) -> Settled {
        let id = lease.job;
        let Some(row) = self.jobs.get_mut(&id).filter(|row| row.holds(lease)) else {
            return Settled::Stale;
        };
        match verdict {
            Verdict::Done | Verdict::Cancel { .. } => {
                self.jobs.remove(&id);
            }
            Verdict::Dead { reason } => {
                self.dead.push((id, reason.clone()));
                self.jobs.remove(&id);
            }
            Verdict::Retry { after, .. } => self.wait(id, *after),
            Verdict::Crashed { after, .. } => {
                row.crashes += 1;
                self.wait(id, *after);
            }
            Verdict::Snooze { after } => {
                row.attempts -= 1;
                self.wait(id, *after);
            }
            Verdict::Release => {
                row.attempts -= 1;
                self.make_ready(id);
            }
        }
        Settled::Applied
    }
}

#[async_trait]
impl<E: fmt::Debug + Send + Sync + 'static> Queue for MemoryQueue<E> {
    type Effects = E;

    async fn join(&self, _boot: BootId) -> Result<Pulse, QueueError> {
        Ok(Pulse::unjudged())
    }

    /// Its nodes live and die with it.
    async fn sweep(&self) -> Result<Swept, QueueError> {
        Ok(Swept::default())
    }

    async fn leave(&self, boot: BootId) -> Result<(), QueueError> {
        let mut state = self.state();
        let held = |row: &Row| matches!(row.place, Place::Leased(holder) if holder == boot);
        let mut held: Vec<_> = state
            .jobs
            .iter()
            .filter(|(_, row)| held(row))
            .map(|(id, _)| *id)
            .collect();
        held.sort_unstable();
        for id in held {
            if let Some(row) = state.jobs.get_mut(&id) {
                row.attempts -= 1;
            }
            state.make_ready(id);
        }
        Ok(())
    }

    async fn push(&self, jobs: Vec<NewJob>) -> Result<Vec<Pushed>, QueueError> {
        let mut state = self.state();
        Ok(jobs.into_iter().map(|job| state.push(job)).collect())
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<ClaimedJob>, QueueError> {
        let mut state = self.state();
        let ClaimRequest { boot, lanes } = request;
        Ok(lanes
            .iter()
            .flat_map(|demand| state.claim(boot, &demand.lane, demand.limit))
            .collect())
    }

    async fn settle(&self, batch: Arc<[Settlement<E>]>) -> Result<Vec<Settled>, QueueError> {
        let mut state = self.state();
        let settle = |settlement: &Settlement<E>| {
            let settled = state.settle(&settlement.lease, &settlement.verdict);
            if let (Settled::Applied, Some(effects)) = (settled, &settlement.effects) {
                (self.on_effects)(effects);
            }
            settled
        };
        Ok(batch.iter().map(settle).collect())
    }

    async fn promote(&self) -> Result<Promoted, QueueError> {
        let mut state = self.state();
        let now = Instant::now();
        let mut due = Vec::new();
        let mut next: Option<Instant> = None;
        for (id, row) in &state.jobs {
            match row.place {
                Place::Scheduled(at) if at <= now => due.push((at, *id)),
                Place::Scheduled(at) => next = Some(next.map_or(at, |next| next.min(at))),
                Place::Ready | Place::Leased(_) => {}
            }
        }
        due.sort_unstable();
        for (_, id) in &due {
            state.make_ready(*id);
        }
        Ok(Promoted {
            count: due.len() as u64,
            next_due: next.map(|at| at - now),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_memory_queue_passes_the_contract() {
        crate::contract::run_all(|| async { Arc::new(MemoryQueue::<()>::new()) }).await;
    }
}

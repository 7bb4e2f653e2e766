//! A queue in memory: for tests, and for applications whose jobs may die with the process.
//!
//! It passes the same contract as the backends on a database and runs in tokio's paused time.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    job::{ClaimedJob, JobId, JobMeta, Lane, NewJob},
    lease::{BootId, Fence, Lease},
    pulse::Pulse,
    queue::{ClaimRequest, Promoted, Pushed, Queue, QueueError, Settled, Swept},
    rank::{Rank, Ranks, Turn},
    suspect,
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
    /// Ready jobs in the order in which they are given out.
    ready: BTreeSet<(Lane, Rank, JobId)>,
    /// The same of those that run apart.
    suspect: BTreeSet<(Lane, Rank, JobId)>,
    ranks: Ranks,
    /// Keys of live jobs.
    unique: HashMap<String, JobId>,
    dead: Vec<(JobId, String)>,
}

struct Row {
    lane: Lane,
    kind: String,
    payload: String,
    attempts: u32,
    crashes: u32,
    fence: Option<Fence>,
    tenant: String,
    unique: Option<String>,
    rank: Rank,
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
    fn push(&mut self, job: NewJob) -> Pushed {
        let taken = |key: &String| self.unique.contains_key(key);
        if self.jobs.contains_key(&job.id) || job.unique.as_ref().is_some_and(taken) {
            return Pushed::Known;
        }
        let NewJob {
            id,
            lane,
            kind,
            payload,
            delay,
            tenant,
            unique,
        } = job;
        if let Some(key) = unique.clone() {
            self.unique.insert(key, id);
        }
        let row = Row {
            lane,
            kind,
            payload,
            attempts: 0,
            crashes: 0,
            fence: None,
            tenant,
            unique,
            rank: Rank::default(),
            place: Place::Scheduled(Instant::now() + delay),
        };
        self.jobs.insert(id, row);
        if delay.is_zero() {
            self.make_ready(id);
        }
        Pushed::Stored
    }

    /// A job that waited becomes ready, at its tenant's rank.
    fn make_ready(&mut self, id: JobId) {
        if let Some(row) = self.jobs.get_mut(&id) {
            let turn = match row.fence {
                None => Turn::First,
                Some(_) => Turn::Again,
            };
            row.rank = self.ranks.enter(&row.lane, &row.tenant, turn);
            self.put(id);
        }
    }

    /// A job that was given out becomes ready, at its own rank or where the lane stands by now.
    fn give_back(&mut self, id: JobId) {
        if let Some(row) = self.jobs.get_mut(&id) {
            row.rank = row.rank.max(self.ranks.reached(&row.lane));
            self.put(id);
        }
    }

    fn put(&mut self, id: JobId) {
        if let Some(row) = self.jobs.get_mut(&id) {
            row.place = Place::Ready;
            let entry = (row.lane.clone(), row.rank, id);
            if row.crashes < suspect::APART_FROM {
                self.ready.insert(entry);
            } else {
                self.suspect.insert(entry);
            }
        }
    }

    fn wait(&mut self, id: JobId, after: Duration) {
        if after.is_zero() {
            self.give_back(id);
        } else if let Some(row) = self.jobs.get_mut(&id) {
            row.place = Place::Scheduled(Instant::now() + after);
        }
    }

    fn claim(&mut self, boot: BootId, lane: &Lane, limit: usize) -> Vec<ClaimedJob> {
        let entries: Vec<_> = of_lane(&self.ready, lane).take(limit).cloned().collect();
        let mut claimed = Vec::with_capacity(entries.len());
        for entry in entries {
            self.ready.remove(&entry);
            let (lane, rank, id) = entry;
            self.ranks.reach(&lane, rank);
            claimed.extend(self.lease(boot, id));
        }
        claimed
    }

    fn claim_suspect(&mut self, boot: BootId, lanes: &[Lane]) -> Option<ClaimedJob> {
        let firsts = lanes
            .iter()
            .filter_map(|lane| of_lane(&self.suspect, lane).next());
        let entry = firsts.min_by_key(|(_, rank, id)| (*rank, *id))?.clone();
        self.suspect.remove(&entry);
        self.lease(boot, entry.2)
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
            tenant: row.tenant.clone(),
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
            Verdict::Done | Verdict::Cancel { .. } => self.remove(id),
            Verdict::Dead { reason } => self.bury(id, reason),
            Verdict::Retry { after, .. } => {
                row.crashes = 0;
                self.wait(id, *after);
            }
            Verdict::Crashed { after, .. } => {
                row.crashes += 1;
                if row.crashes >= suspect::QUARANTINED_FROM {
                    self.bury(id, suspect::REASON);
                } else {
                    self.wait(id, *after);
                }
            }
            Verdict::Snooze { after } => {
                row.attempts -= 1;
                self.wait(id, *after);
            }
            Verdict::Release => {
                row.attempts -= 1;
                self.give_back(id);
            }
        }
        Settled::Applied
    }

    fn bury(&mut self, id: JobId, reason: &str) {
        self.dead.push((id, reason.to_owned()));
        self.remove(id);
    }

    fn remove(&mut self, id: JobId) {
        if let Some(key) = self.jobs.remove(&id).and_then(|row| row.unique) {
            self.unique.remove(&key);
        }
    }
}

fn of_lane<'a>(
    entries: &'a BTreeSet<(Lane, Rank, JobId)>,
    lane: &Lane,
) -> impl Iterator<Item = &'a (Lane, Rank, JobId)> {
    const FIRST: JobId = JobId::from_uuid(Uuid::nil());
    let lane = lane.clone();
    entries
        .range((lane.clone(), Rank(i64::MIN), FIRST)..)
        .take_while(move |(other, ..)| *other == lane)
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
            state.give_back(id);
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

    async fn claim_suspect(
        &self,
        boot: BootId,
        lanes: &[Lane],
    ) -> Result<Option<ClaimedJob>, QueueError> {
        Ok(self.state().claim_suspect(boot, lanes))
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
        let cases = crate::contract::run_all(|| async { Arc::new(MemoryQueue::<()>::new()) }).await;
        assert!(cases >= 18, "{cases} cases");
    }
}

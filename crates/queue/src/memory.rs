//! A queue in memory: for tests, and for applications whose jobs may die with the process.
//!
//! It passes the same contract as the backends on a database and runs in tokio's paused time.

mod operate;
mod state;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use self::state::{Dead, Place, Row, State};
use crate::{
    controls::Controls,
    job::{ClaimedJob, JobId, Lane, NewJob},
    lease::{BootId, Fence},
    pulse::Pulse,
    queue::{ClaimRequest, Claimed, Promoted, Pushed, Queue, QueueError, Settled, Swept},
    verdict::Settlement,
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
    controls: Controls,
    on_effects: Box<dyn Fn(&E) + Send + Sync>,
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
            state: Mutex::new(State::new()),
            controls: Controls::default(),
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
        let state = self.state();
        let dead = |dead: &Dead| (dead.id, dead.reason.clone());
        state.dead.iter().map(dead).collect()
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

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed, QueueError> {
        let mut state = self.state();
        let ClaimRequest { boot, lanes } = request;
        let mut claimed = Claimed::default();
        for demand in lanes {
            if self.controls.is_paused(&demand.lane) {
                continue;
            }
            let (jobs, throttled) = state.claim_within(boot, &demand);
            claimed.jobs.extend(jobs);
            claimed.throttled = claimed.throttled.into_iter().chain(throttled).min();
        }
        Ok(claimed)
    }

    async fn held(&self, boot: BootId) -> Result<Vec<(JobId, Fence)>, QueueError> {
        let state = self.state();
        let held = |(id, row): (&JobId, &Row)| match (&row.place, row.fence) {
            (Place::Leased(holder), Some(fence)) if *holder == boot => Some((*id, fence)),
            _ => None,
        };
        Ok(state.jobs.iter().filter_map(held).collect())
    }

    fn controls(&self) -> Controls {
        self.controls.clone()
    }

    async fn claim_suspect(
        &self,
        boot: BootId,
        lanes: &[Lane],
    ) -> Result<Option<ClaimedJob>, QueueError> {
        let running = lanes.iter().filter(|lane| !self.controls.is_paused(lane));
        let running: Vec<_> = running.cloned().collect();
        Ok(self.state().claim_suspect(boot, &running))
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
        Ok(self.state().promote())
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

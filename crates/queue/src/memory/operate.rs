//! What people do with a queue in memory.

use std::{collections::BTreeSet, fmt, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    MemoryQueue,
    state::{Dead, Place, Row, State},
};
use crate::{
    controls::ControlVersion,
    job::{JobId, Lane},
    lease::BootId,
    operate::{Cancelled, DeadFilter, DeadJob, LaneStatus, Operate, Rescheduled},
    queue::QueueError,
};

impl DeadFilter {
    fn takes(&self, dead: &Dead) -> bool {
        let Self {
            id,
            lane,
            kind,
            tenant,
            cause,
            dead_for,
        } = self;
        id.is_none_or(|id| id == dead.id)
            && lane.as_ref().is_none_or(|lane| *lane == dead.row.lane)
            && kind.as_ref().is_none_or(|kind| *kind == dead.row.kind)
            && tenant
                .as_ref()
                .is_none_or(|tenant| *tenant == dead.row.tenant)
            && cause.is_none_or(|cause| cause == dead.cause)
            && dead_for.is_none_or(|least| dead.at.elapsed() >= least)
    }
}

impl Dead {
    fn shown(&self) -> DeadJob {
        let row = &self.row;
        DeadJob {
            id: self.id,
            lane: row.lane.clone(),
            kind: row.kind.clone(),
            payload: row.payload.clone(),
            tenant: row.tenant.clone(),
            attempts: row.attempts,
            crashes: row.crashes,
            cause: self.cause,
            reason: self.reason.clone(),
            last_error: row.last_error.clone(),
            age: row.created.elapsed(),
            dead_for: self.at.elapsed(),
        }
    }
}

impl State {
    fn status(&self, lane: Lane, paused: bool) -> LaneStatus {
        let rows: Vec<&Row> = self.jobs.values().filter(|row| row.lane == lane).collect();
        let count =
            |wanted: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| wanted(row)).count() as u64;
        let suspect = self.suspect.iter().filter(|(of, ..)| *of == lane).count() as u64;
        LaneStatus {
            paused,
            ready: count(&|row| matches!(row.place, Place::Ready)) - suspect,
            scheduled: count(&|row| matches!(row.place, Place::Scheduled(_))),
            leased: count(&|row| matches!(row.place, Place::Leased(_))),
            suspect,
            oldest: rows.iter().map(|row| row.created.elapsed()).max(),
            lane,
        }
    }

    /// Takes out at most `limit` dead jobs of the filter, the oldest first.
    fn take_dead(
        &mut self,
        filter: &DeadFilter,
        limit: u32,
        may: impl Fn(&Self, &Dead) -> bool,
    ) -> Vec<Dead> {
        let dead = std::mem::take(&mut self.dead);
        let mut taken = Vec::new();
        for dead in dead {
            if taken.len() < limit as usize && filter.takes(&dead) && may(self, &dead) {
                taken.push(dead);
            } else {
                self.dead.push(dead);
            }
        }
        taken
    }

    /// It waits for the next promotion, which gives it its rank.
    fn revive(&mut self, dead: Dead, now: Instant) {
        let Dead {
            id, mut row, at, ..
        } = dead;
        (row.attempts, row.crashes) = (0, 0);
        row.place = Place::Scheduled(now);
        // The time that it was dead does not count.
        row.expires = row.expires.map(|expires| expires + (now - at));
        if let Some(key) = row.unique.clone() {
            self.unique.insert(key, id);
        }
        self.jobs.insert(id, row);
    }
}

#[async_trait]
impl<E: fmt::Debug + Send + Sync + 'static> Operate for MemoryQueue<E> {
    async fn lanes(&self) -> Result<Vec<LaneStatus>, QueueError> {
        let state = self.state();
        let mut lanes: BTreeSet<Lane> = state.jobs.values().map(|row| row.lane.clone()).collect();
        lanes.extend(self.controls.paused());
        let status = |lane: Lane| {
            let paused = self.controls.is_paused(&lane);
            state.status(lane, paused)
        };
        Ok(lanes.into_iter().map(status).collect())
    }

    async fn pause(&self, lane: &Lane) -> Result<ControlVersion, QueueError> {
        let _state = self.state();
        let paused = self.controls.paused().into_iter().chain([lane.clone()]);
        let version = ControlVersion(self.controls.version().0 + 1);
        self.controls.apply(version, paused);
        Ok(version)
    }

    async fn resume(&self, lane: &Lane) -> Result<ControlVersion, QueueError> {
        let _state = self.state();
        let paused = self.controls.paused().into_iter();
        let version = ControlVersion(self.controls.version().0 + 1);
        self.controls
            .apply(version, paused.filter(|other| other != lane));
        Ok(version)
    }

    /// Its nodes share this very state.
    async fn lagging(&self, _version: ControlVersion) -> Result<Vec<BootId>, QueueError> {
        Ok(Vec::new())
    }

    async fn cancel(&self, job: JobId) -> Result<Cancelled, QueueError> {
        let mut state = self.state();
        Ok(match state.jobs.get(&job).map(|row| &row.place) {
            None => Cancelled::Absent,
            Some(Place::Leased(_)) => Cancelled::InHand,
            Some(Place::Ready | Place::Scheduled(_)) => {
                state.remove(job);
                Cancelled::Cancelled
            }
        })
    }

    async fn reschedule(&self, job: JobId, delay: Duration) -> Result<Rescheduled, QueueError> {
        let mut state = self.state();
        Ok(match state.jobs.get_mut(&job) {
            None => Rescheduled::Absent,
            Some(row) if row.fence.is_none() && matches!(row.place, Place::Scheduled(_)) => {
                row.place = Place::Scheduled(Instant::now() + delay);
                Rescheduled::Rescheduled
            }
            Some(_) => Rescheduled::TooLate,
        })
    }

    async fn dead(
        &self,
        filter: &DeadFilter,
        after: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<DeadJob>, QueueError> {
        let state = self.state();
        let newest = state.dead.iter().rev();
        let behind = newest.skip_while(|dead| after.is_some_and(|after| dead.id != after));
        let page = behind
            .skip(usize::from(after.is_some()))
            .filter(|dead| filter.takes(dead));
        Ok(page.take(limit as usize).map(Dead::shown).collect())
    }

    async fn retry_dead(&self, filter: &DeadFilter, limit: u32) -> Result<u64, QueueError> {
        let mut state = self.state();
        let free = |state: &State, dead: &Dead| {
            let taken = |key| state.unique.contains_key(key);
            !state.jobs.contains_key(&dead.id) && !dead.row.unique.as_ref().is_some_and(taken)
        };
        let (mut count, now) = (0, Instant::now());
        for dead in state.take_dead(filter, limit, free) {
            // Of two that died with one key, one can live.
            if free(&state, &dead) {
                state.revive(dead, now);
                count += 1;
            } else {
                state.dead.push(dead);
                state.dead.sort_by_key(|dead| dead.at);
            }
        }
        Ok(count)
    }

    async fn discard_dead(&self, filter: &DeadFilter, limit: u32) -> Result<u64, QueueError> {
        let discarded = self.state().take_dead(filter, limit, |_, _| true);
        Ok(discarded.len() as u64)
    }
}

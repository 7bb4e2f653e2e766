//! The rows of a queue in memory, and what happens to them.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tokio::time::Instant;
use uuid::Uuid;

use super::Snapshot;
use crate::{
    job::{ClaimedJob, JobId, JobMeta, Lane, NewJob},
    lease::{BootId, Fence, Lease},
    operate::Cause,
    queue::{LaneDemand, Promoted, Pushed, Settled},
    rank::{Rank, Ranks, Turn},
    suspect,
    verdict::Verdict,
};

pub(super) struct State {
    pub(super) origin: Instant,
    pub(super) jobs: HashMap<JobId, Row>,
    /// Ready jobs in the order in which they are given out.
    pub(super) ready: BTreeSet<(Lane, Rank, JobId)>,
    /// The same of those that run apart.
    pub(super) suspect: BTreeSet<(Lane, Rank, JobId)>,
    pub(super) ranks: Ranks,
    /// Keys of live jobs.
    pub(super) unique: HashMap<String, JobId>,
    /// Up to where the tokens of a lane with a rate are spent.
    pub(super) spent: HashMap<Lane, i64>,
    pub(super) dead: Vec<Dead>,
}

pub(super) struct Dead {
    pub(super) id: JobId,
    pub(super) row: Row,
    pub(super) cause: Cause,
    pub(super) reason: String,
    pub(super) at: Instant,
}

pub(super) struct Row {
    pub(super) lane: Lane,
    pub(super) kind: String,
    pub(super) payload: String,
    pub(super) attempts: u32,
    pub(super) crashes: u32,
    pub(super) fence: Option<Fence>,
    pub(super) tenant: String,
    pub(super) unique: Option<String>,
    pub(super) rank: Rank,
    pub(super) created: Instant,
    pub(super) expires: Option<Instant>,
    pub(super) last_error: Option<String>,
    pub(super) place: Place,
}

pub(super) enum Place {
    Ready,
    Scheduled(Instant),
    Leased(BootId),
}

impl Row {
    pub(super) fn snapshot(&self, id: JobId) -> Snapshot {
        Snapshot {
            id,
            lane: self.lane.clone(),
            attempts: self.attempts,
            crashes: self.crashes,
            fence: self.fence,
            leased: matches!(self.place, Place::Leased(_)),
        }
    }

    pub(super) fn holds(&self, lease: &Lease) -> bool {
        self.fence == Some(lease.fence)
            && matches!(self.place, Place::Leased(boot) if boot == lease.boot)
    }
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            origin: Instant::now(),
            jobs: HashMap::new(),
            ready: BTreeSet::new(),
            suspect: BTreeSet::new(),
            ranks: Ranks::default(),
            unique: HashMap::new(),
            spent: HashMap::new(),
            dead: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, job: NewJob) -> Pushed {
        let taken = |key: &String| self.unique.contains_key(key);
        if self.jobs.contains_key(&job.id) || job.unique.as_ref().is_some_and(taken) {
            if job.delay.is_zero() {
                // Its rank is nobody's, as on a database, which finds out too late.
                self.ranks.enter(&job.lane, &job.tenant, Turn::First);
            }
            return Pushed::Known;
        }
        let NewJob {
            id,
            lane,
            kind,
            payload,
            delay,
            tenant,
            expires_in,
            unique,
        } = job;
        let now = Instant::now();
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
            created: now,
            expires: expires_in.map(|after| now + after),
            last_error: None,
            place: Place::Scheduled(now + delay),
        };
        self.jobs.insert(id, row);
        if delay.is_zero() {
            self.make_ready(id);
        }
        Pushed::Stored
    }

    /// A job that waited becomes ready, at its tenant's rank.
    pub(super) fn make_ready(&mut self, id: JobId) {
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
    pub(super) fn give_back(&mut self, id: JobId) {
        if let Some(row) = self.jobs.get_mut(&id) {
            row.rank = row.rank.max(self.ranks.reached(&row.lane));
            self.put(id);
        }
    }

    pub(super) fn put(&mut self, id: JobId) {
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

    pub(super) fn wait(&mut self, id: JobId, after: Duration) {
        if after.is_zero() {
            self.give_back(id);
        } else if let Some(row) = self.jobs.get_mut(&id) {
            row.place = Place::Scheduled(Instant::now() + after);
        }
    }

    pub(super) fn claim(&mut self, boot: BootId, lane: &Lane, limit: usize) -> Vec<ClaimedJob> {
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

    /// A claim within the limits over all nodes, and when the next token comes if only the rate holds jobs back.
    pub(super) fn claim_within(
        &mut self,
        boot: BootId,
        demand: &LaneDemand,
    ) -> (Vec<ClaimedJob>, Option<Duration>) {
        let LaneDemand {
            lane,
            limit,
            shared,
        } = demand;
        let held = |row: &&Row| row.lane == *lane && matches!(row.place, Place::Leased(_));
        let room = shared.at_once.map(|most| {
            let held = self.jobs.values().filter(held).count();
            (most as usize).saturating_sub(held)
        });
        let limit = room.map_or(*limit, |room| room.min(*limit));
        let Some(rate) = shared.rate else {
            return (self.claim(boot, lane, limit), None);
        };
        let now = self.now();
        let spent = self.spent.get(lane).copied().unwrap_or(i64::MIN / 2);
        let tokens = rate.available(spent, now);
        let jobs = self.claim(boot, lane, limit.min(tokens));
        let spent = rate.spend(spent, now, jobs.len());
        if !jobs.is_empty() {
            self.spent.insert(lane.clone(), spent);
        }
        let more = jobs.len() < limit && of_lane(&self.ready, lane).next().is_some();
        (jobs, more.then(|| rate.next_in(spent, now)))
    }

    /// Microseconds since the queue was made.
    pub(super) fn now(&self) -> i64 {
        let elapsed = Instant::now().saturating_duration_since(self.origin);
        i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
    }

    pub(super) fn claim_suspect(&mut self, boot: BootId, lanes: &[Lane]) -> Option<ClaimedJob> {
        let firsts = lanes
            .iter()
            .filter_map(|lane| of_lane(&self.suspect, lane).next());
        let entry = firsts.min_by_key(|(_, rank, id)| (*rank, *id))?.clone();
        self.suspect.remove(&entry);
        self.lease(boot, entry.2)
    }

    pub(super) fn lease(&mut self, boot: BootId, id: JobId) -> Option<ClaimedJob> {
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

    pub(super) fn settle(&mut self, lease: &Lease, verdict: &Verdict) -> Settled {
        let id = lease.job;
        let Some(row) = self.jobs.get_mut(&id).filter(|row| row.holds(lease)) else {
            return Settled::Stale;
        };
        match verdict {
            Verdict::Done | Verdict::Cancel { .. } => {
                self.remove(id);
            }
            Verdict::Dead { reason } => self.bury(id, Cause::Dead, reason),
            Verdict::Retry { after, error } => {
                row.crashes = 0;
                row.last_error = Some(error.clone());
                self.wait(id, *after);
            }
            Verdict::Crashed { after, error } => {
                row.crashes += 1;
                row.last_error = Some(error.clone());
                if row.crashes >= suspect::QUARANTINED_FROM {
                    self.bury(id, Cause::Quarantined, suspect::REASON);
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

    pub(super) fn bury(&mut self, id: JobId, cause: Cause, reason: &str) {
        if let Some(row) = self.remove(id) {
            // An id that died before and entered anew dies once more.
            self.dead.retain(|dead| dead.id != id);
            self.dead.push(Dead {
                id,
                row,
                cause,
                reason: reason.to_owned(),
                at: Instant::now(),
            });
        }
    }

    pub(super) fn remove(&mut self, id: JobId) -> Option<Row> {
        let row = self.jobs.remove(&id)?;
        let entry = (row.lane.clone(), row.rank, id);
        self.ready.remove(&entry);
        self.suspect.remove(&entry);
        if let Some(key) = &row.unique {
            self.unique.remove(key);
        }
        Some(row)
    }

    pub(super) fn promote(&mut self) -> Promoted {
        let expired = self.expire();
        let now = Instant::now();
        let mut due = Vec::new();
        let mut next: Option<Instant> = None;
        for (id, row) in &self.jobs {
            match row.place {
                Place::Scheduled(at) if at <= now => due.push((at, *id)),
                Place::Scheduled(at) => next = Some(next.map_or(at, |next| next.min(at))),
                Place::Ready | Place::Leased(_) => {}
            }
        }
        due.sort_unstable();
        for (_, id) in &due {
            self.make_ready(*id);
        }
        Promoted {
            count: due.len() as u64,
            expired,
            next_due: next.map(|at| at - now),
        }
    }

    /// Takes out what nobody holds and nobody wants any more.
    pub(super) fn expire(&mut self) -> u64 {
        let now = Instant::now();
        let over = |row: &Row| {
            row.expires.is_some_and(|at| at <= now) && !matches!(row.place, Place::Leased(_))
        };
        let over: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, row)| over(row))
            .map(|(id, _)| *id)
            .collect();
        over.iter().filter_map(|id| self.remove(*id)).count() as u64
    }
}

pub(super) fn of_lane<'a>(
    entries: &'a BTreeSet<(Lane, Rank, JobId)>,
    lane: &Lane,
) -> impl Iterator<Item = &'a (Lane, Rank, JobId)> {
    const FIRST: JobId = JobId::from_uuid(Uuid::nil());
    let lane = lane.clone();
    entries
        .range((lane.clone(), Rank(i64::MIN), FIRST)..)
        .take_while(move |(other, ..)| *other == lane)
}

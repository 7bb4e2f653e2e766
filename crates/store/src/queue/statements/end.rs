//! Leases end.

use std::{collections::BTreeSet, time::Duration};

use posthaste_domain::clock::later;
use posthaste_queue::{Lease, Settled, Settlement, Verdict, suspect::QUARANTINED_FROM};
use sea_orm::{ConnectionTrait, DbErr, Value};
use uuid::Uuid;

use super::{bury::bury, end_deliveries, quarantine, rank_again, ready_state};
use crate::{
    convert::micros,
    rows::{Kind, Piece, Rows},
    sql::Words,
    writer::Unit,
};

/// The fence, and the holder, are compared with the row as it stands inside this transaction. The state is no bare column,
/// so that the planner of PostgreSQL finds the row by its id and not by the indexes of leases: those are short by their
/// statistics, and beside an open snapshot hold every lease that there was since.
pub(super) const HELD: &str = "jobs.id = v.id AND jobs.fence = v.fence AND jobs.boot_id = v.boot \
     AND (jobs.state || '') = 'leased'";

/// Ends the leases that are still the newest and tells which those were. Job rows come first: what else a settlement
/// writes depends on this answer.
pub(crate) async fn end_leases<E>(
    unit: &mut Unit<'_>,
    batch: &[&Settlement<E>],
) -> Result<Vec<Settled>, DbErr> {
    let mut applied = BTreeSet::new();
    let stays = |settlement: &&&Settlement<E>| Stay::of(&settlement.verdict).is_some();
    let (kept, gone): (Vec<&Settlement<E>>, Vec<_>) = batch.iter().partition(stays);
    let is_dead = |settlement: &&&Settlement<E>| matches!(settlement.verdict, Verdict::Dead { .. });
    let dead: Vec<_> = gone.iter().filter(is_dead).copied().collect();
    if !dead.is_empty() {
        bury(unit, &dead).await?;
    }
    if !gone.is_empty() {
        applied.extend(remove(unit, &gone).await?);
    }
    if !kept.is_empty() {
        unit.put_down_ranks().await?;
        applied.extend(put_back(unit, &kept).await?);
    }
    let died: Vec<Value> = dead
        .iter()
        .map(|settlement| settlement.lease.job.as_uuid())
        .filter(|job| applied.contains(job))
        .map(Value::from)
        .collect();
    if !died.is_empty() {
        end_deliveries(unit, "failed", &died).await?;
    }
    let crashed = |settlement: &&Settlement<E>| {
        matches!(settlement.verdict, Verdict::Crashed { .. })
            && applied.contains(&settlement.lease.job.as_uuid())
    };
    let settled = |lease: &Lease| {
        if applied.contains(&lease.job.as_uuid()) {
            Settled::Applied
        } else {
            Settled::Stale
        }
    };
    if kept.iter().any(crashed) {
        quarantine(unit.txn, unit.backend, micros(unit.now)).await?;
    }
    Ok(batch
        .iter()
        .map(|settlement| settled(&settlement.lease))
        .collect())
}

/// How a job goes on that stays in the queue.
struct Stay<'a> {
    wait: Option<Duration>,
    attempts: i32,
    crashes: Crashes,
    error: Option<&'a str>,
}

/// What becomes of the count of crashes.
#[derive(Clone, Copy)]
enum Crashes {
    OneMore,
    Same,
    /// It ran to an end: it was a neighbour of what crashed.
    None,
}

impl<'a> Stay<'a> {
    fn of(verdict: &'a Verdict) -> Option<Self> {
        let stay = |wait, attempts, crashes, error| {
            Some(Self {
                wait,
                attempts,
                crashes,
                error,
            })
        };
        match verdict {
            Verdict::Retry { after, error } => stay(Some(*after), 0, Crashes::None, Some(error)),
            Verdict::Crashed { after, error } => {
                stay(Some(*after), 0, Crashes::OneMore, Some(error))
            }
            Verdict::Snooze { after } => stay(Some(*after), -1, Crashes::Same, None),
            Verdict::Release => stay(None, -1, Crashes::Same, None),
            Verdict::Done | Verdict::Cancel { .. } | Verdict::Dead { .. } => None,
        }
    }

    fn waits(&self) -> bool {
        self.wait.is_some_and(|wait| !wait.is_zero())
    }
}

async fn put_back<E>(unit: &Unit<'_>, kept: &[&Settlement<E>]) -> Result<Vec<Uuid>, DbErr> {
    let mut rows = Rows::of(&[
        Kind::Uuid,
        Kind::BigInt,
        Kind::Uuid,
        Kind::Int,
        Kind::BigInt,
        Kind::Int,
        Kind::Int,
        Kind::Int,
        Kind::Text,
    ]);
    for settlement in kept {
        let Some(stay) = Stay::of(&settlement.verdict) else {
            continue;
        };
        let run_at = later(unit.now, stay.wait.unwrap_or_default());
        // Added to the count, which is then multiplied: 0 forgets it.
        let (more, times) = match stay.crashes {
            Crashes::OneMore => (1, 1),
            Crashes::Same => (0, 1),
            Crashes::None => (0, 0),
        };
        let more = [
            i32::from(stay.waits()).into(),
            micros(run_at).into(),
            stay.attempts.into(),
            more.into(),
            times.into(),
            stay.error.map(str::to_owned).into(),
        ];
        rows.push(lease_values(&settlement.lease).into_iter().chain(more));
    }
    let crashes = "(jobs.crashes + v.more) * v.times";
    let (ready, rank) = (ready_state(crashes), rank_again(unit.backend));
    let sql = |rows: &str| {
        format!(
            "WITH v (id, fence, boot, waits, run_at, attempts, more, times, error) AS ({rows}) \
             UPDATE jobs SET \
             state = CASE WHEN v.waits = 1 AND {crashes} < {QUARANTINED_FROM} THEN 'scheduled' ELSE {ready} END, \
             run_at = v.run_at, boot_id = NULL, attempts = jobs.attempts + v.attempts, crashes = {crashes}, \
             rank = {rank}, last_error = coalesce(v.error, jobs.last_error) \
             FROM v WHERE {HELD} RETURNING jobs.id"
        )
    };
    ids(unit, rows, sql).await
}

async fn remove<E>(unit: &Unit<'_>, gone: &[&Settlement<E>]) -> Result<Vec<Uuid>, DbErr> {
    let mut rows = Rows::of(&LEASE);
    for settlement in gone {
        rows.push(lease_values(&settlement.lease));
    }
    let join = unit.backend.join();
    let sql = |rows: &str| {
        format!(
            "WITH v (id, fence, boot) AS ({rows}) \
             DELETE FROM jobs WHERE id IN (SELECT jobs.id FROM v {join} jobs ON {HELD}) RETURNING id"
        )
    };
    ids(unit, rows, sql).await
}

/// What [`lease_values`] are.
pub(super) const LEASE: [Kind; 3] = [Kind::Uuid, Kind::BigInt, Kind::Uuid];

pub(super) fn lease_values(lease: &Lease) -> [Value; 3] {
    [
        lease.job.as_uuid().into(),
        lease.fence.0.into(),
        lease.boot.as_uuid().into(),
    ]
}

/// Runs a statement for all rows, and gives the ids that it returns.
async fn ids(
    unit: &Unit<'_>,
    rows: Rows,
    sql: impl Fn(&str) -> String,
) -> Result<Vec<Uuid>, DbErr> {
    let mut ids = Vec::new();
    for Piece { rows, values } in rows.pieces(unit.backend) {
        let found = unit
            .txn
            .query_all_raw(unit.statement(&sql(&rows), values))
            .await?;
        for row in found {
            ids.push(row.try_get_by_index(0)?);
        }
    }
    Ok(ids)
}

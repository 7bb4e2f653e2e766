//! The queue's statements. Each carries a batch: a statement costs a thread switch or a round trip, a row almost nothing.

use std::time::Duration;

use posthaste_domain::clock::{Clock, Timestamp};
use posthaste_queue::{
    BootId, ClaimedJob, Fence, JobId, JobMeta, Lane, LaneDemand, Lease, NewJob, Promoted, Pushed,
    Settled, Settlement, Verdict,
};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait,
    QueryResult, Value, sea_query::OnConflict,
};
use uuid::Uuid;

use super::{State, new_row};
use crate::{
    convert::{count, micros},
    entity::{jobs, nodes},
    sql::{Words, rows, statement},
    writer::Unit,
};

/// Takes back the jobs of every process that held some, and counts a crash for each. Only for the holder of the file
/// lock: nobody else is alive then.
pub(crate) async fn recover_orphans(
    connection: &DatabaseConnection,
    clock: &dyn Clock,
) -> Result<u64, DbErr> {
    let now = micros(clock.now());
    let freed = statement(
        DbBackend::Sqlite,
        "UPDATE jobs SET state = 'ready', boot_id = NULL, attempts = attempts - 1, crashes = crashes + 1 \
         WHERE state = 'leased'",
        [],
    );
    let recovered = connection.execute_raw(freed).await?.rows_affected();
    let left = statement(
        DbBackend::Sqlite,
        "UPDATE nodes SET left_at = ? WHERE left_at IS NULL",
        [now.into()],
    );
    connection.execute_raw(left).await?;
    Ok(recovered)
}

pub(super) async fn any_ready(connection: &DatabaseConnection) -> Result<bool, DbErr> {
    let asked = "SELECT 1 FROM jobs WHERE state = 'ready' LIMIT 1";
    let asked = statement(connection.get_database_backend(), asked, []);
    Ok(connection.query_one_raw(asked).await?.is_some())
}

/// When the next waiting job is due, in microseconds since 1970.
pub(super) async fn next_due(connection: &impl ConnectionTrait) -> Result<Option<i64>, DbErr> {
    let asked = "SELECT run_at FROM jobs WHERE state = 'scheduled' ORDER BY run_at LIMIT 1";
    let asked = statement(connection.get_database_backend(), asked, []);
    connection
        .query_one_raw(asked)
        .await?
        .map(|row| row.try_get_by_index(0))
        .transpose()
}

/// From `now` until `due`; zero if that is past.
pub(super) fn until(due: i64, now: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(due - micros(now)).unwrap_or_default())
}

pub(super) async fn join(unit: &Unit<'_>, boot: BootId) -> Result<(), DbErr> {
    let row = nodes::ActiveModel {
        boot_id: Set(boot.as_uuid()),
        joined_at: Set(micros(unit.now)),
        left_at: Set(None),
        beat: Set(0),
    };
    nodes::Entity::insert(row)
        .exec_without_returning(unit.txn)
        .await?;
    Ok(())
}

pub(super) async fn leave(unit: &Unit<'_>, boot: BootId) -> Result<(), DbErr> {
    let freed = unit.statement(
        "UPDATE jobs SET state = 'ready', boot_id = NULL, attempts = attempts - 1 \
         WHERE state = 'leased' AND boot_id = ?",
        [boot.as_uuid().into()],
    );
    unit.txn.execute_raw(freed).await?;
    let left = unit.statement(
        "UPDATE nodes SET left_at = ? WHERE boot_id = ? AND left_at IS NULL",
        [micros(unit.now).into(), boot.as_uuid().into()],
    );
    unit.txn.execute_raw(left).await?;
    Ok(())
}

pub(super) async fn push(unit: &Unit<'_>, jobs: &[NewJob]) -> Result<Vec<Pushed>, DbErr> {
    let mut pushed = Vec::with_capacity(jobs.len());
    for job in jobs {
        let insert = jobs::Entity::insert(new_row(job, unit.now))
            .on_conflict(OnConflict::new().do_nothing().to_owned());
        let rows = insert.exec_without_returning(unit.txn).await?;
        pushed.push(if rows == 0 {
            Pushed::Known
        } else {
            Pushed::Stored
        });
    }
    Ok(pushed)
}

pub(super) async fn claim(
    unit: &Unit<'_>,
    boot: BootId,
    demand: &LaneDemand,
) -> Result<Vec<ClaimedJob>, DbErr> {
    let values = [
        demand.lane.as_str().into(),
        i64::try_from(demand.limit).unwrap_or(i64::MAX).into(),
        boot.as_uuid().into(),
    ];
    let claim = unit.statement(claim_sql(unit.backend), values);
    let rows = unit.txn.query_all_raw(claim).await?;
    let mut claimed = rows
        .iter()
        .map(|row| claimed(row, boot, &demand.lane))
        .collect::<Result<Vec<_>, _>>()?;
    // `RETURNING` promises no order.
    claimed.sort_by_key(|job| job.meta.id);
    Ok(claimed)
}

/// On PostgreSQL, rows that another node is taking are passed over, not waited for.
fn claim_sql(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => {
            "WITH wanted AS (SELECT id FROM jobs WHERE state = 'ready' AND lane = ? ORDER BY id LIMIT ? \
             FOR UPDATE SKIP LOCKED) \
             UPDATE jobs SET state = 'leased', boot_id = ?, fence = fence + 1, attempts = attempts + 1 \
             FROM wanted WHERE jobs.id = wanted.id \
             RETURNING jobs.id, kind, payload, attempts, crashes, fence"
        }
        _ => {
            "WITH wanted AS (SELECT id FROM jobs WHERE state = 'ready' AND lane = ? ORDER BY id LIMIT ?) \
             UPDATE jobs SET state = 'leased', boot_id = ?, fence = fence + 1, attempts = attempts + 1 \
             WHERE id IN (SELECT id FROM wanted) \
             RETURNING id, kind, payload, attempts, crashes, fence"
        }
    }
}

fn claimed(row: &QueryResult, boot: BootId, lane: &Lane) -> Result<ClaimedJob, DbErr> {
    let id = JobId::from_uuid(row.try_get("", "id")?);
    let meta = JobMeta {
        id,
        lane: lane.clone(),
        kind: row.try_get("", "kind")?,
        attempt: count(row.try_get("", "attempts")?),
        crashes: count(row.try_get("", "crashes")?),
    };
    let lease = Lease {
        job: id,
        fence: Fence(row.try_get("", "fence")?),
        boot,
    };
    Ok(ClaimedJob {
        lease,
        meta,
        payload: row.try_get("", "payload")?,
    })
}

pub(super) async fn promote(unit: &Unit<'_>) -> Result<Promoted, DbErr> {
    let due = unit.statement(
        "UPDATE jobs SET state = 'ready' WHERE state = 'scheduled' AND run_at <= ?",
        [micros(unit.now).into()],
    );
    let count = unit.txn.execute_raw(due).await?.rows_affected();
    let next_due = next_due(unit.txn).await?.map(|next| until(next, unit.now));
    Ok(Promoted { count, next_due })
}

/// Ends the leases that are still the newest and tells which those were. Job rows come first: what else a settlement
/// writes depends on this answer.
pub(crate) async fn end_leases<E>(
    unit: &Unit<'_>,
    batch: &[&Settlement<E>],
) -> Result<Vec<Settled>, DbErr> {
    let mut applied = std::collections::BTreeSet::new();
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
        applied.extend(put_back(unit, &kept).await?);
    }
    let settled = |lease: &Lease| {
        if applied.contains(&lease.job.as_uuid()) {
            Settled::Applied
        } else {
            Settled::Stale
        }
    };
    Ok(batch
        .iter()
        .map(|settlement| settled(&settlement.lease))
        .collect())
}

/// How a job goes on that stays in the queue.
struct Stay<'a> {
    wait: Option<Duration>,
    attempts: i32,
    crashes: i32,
    error: Option<&'a str>,
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
            Verdict::Retry { after, error } => stay(Some(*after), 0, 0, Some(error)),
            Verdict::Crashed { after, error } => stay(Some(*after), 0, 1, Some(error)),
            Verdict::Snooze { after } => stay(Some(*after), -1, 0, None),
            Verdict::Release => stay(None, -1, 0, None),
            Verdict::Done | Verdict::Cancel { .. } | Verdict::Dead { .. } => None,
        }
    }
}

async fn put_back<E>(unit: &Unit<'_>, kept: &[&Settlement<E>]) -> Result<Vec<Uuid>, DbErr> {
    let mut values = Vec::new();
    for settlement in kept {
        let Some(Stay {
            wait,
            attempts,
            crashes,
            error,
        }) = Stay::of(&settlement.verdict)
        else {
            continue;
        };
        let wait = wait.filter(|wait| !wait.is_zero());
        let state = if wait.is_some() {
            State::Scheduled
        } else {
            State::Ready
        };
        let run_at = posthaste_domain::clock::later(unit.now, wait.unwrap_or_default());
        values.extend(lease_values(&settlement.lease));
        values.extend([
            state.word().into(),
            micros(run_at).into(),
            attempts.into(),
            crashes.into(),
        ]);
        values.push(error.map(str::to_owned).into());
    }
    let sql = format!(
        "WITH v (id, fence, boot, state, run_at, attempts, crashes, error) AS (VALUES {}) \
         UPDATE jobs SET state = v.state, run_at = v.run_at, boot_id = NULL, attempts = jobs.attempts + v.attempts, \
         crashes = jobs.crashes + v.crashes, last_error = coalesce(v.error, jobs.last_error) \
         FROM v WHERE {HELD} RETURNING jobs.id",
        rows(kept.len(), 8)
    );
    ids(unit, &sql, values).await
}

async fn remove<E>(unit: &Unit<'_>, gone: &[&Settlement<E>]) -> Result<Vec<Uuid>, DbErr> {
    let values = gone
        .iter()
        .flat_map(|settlement| lease_values(&settlement.lease))
        .collect();
    let sql = format!(
        "WITH v (id, fence, boot) AS (VALUES {}) \
         DELETE FROM jobs WHERE id IN (SELECT jobs.id FROM v {} jobs ON {HELD}) RETURNING id",
        rows(gone.len(), 3),
        unit.backend.join()
    );
    ids(unit, &sql, values).await
}

async fn bury<E>(unit: &Unit<'_>, dead: &[&Settlement<E>]) -> Result<(), DbErr> {
    let mut values = Vec::new();
    for settlement in dead {
        if let Verdict::Dead { reason } = &settlement.verdict {
            values.extend(lease_values(&settlement.lease));
            values.push(reason.as_str().into());
        }
    }
    values.push(micros(unit.now).into());
    let sql = format!(
        "WITH v (id, fence, boot, reason) AS (VALUES {}) \
         INSERT INTO dead_jobs (id, lane, kind, payload, attempts, crashes, fence, reason, created_at, died_at) \
         SELECT jobs.id, lane, kind, payload, attempts, crashes, jobs.fence, v.reason, created_at, ? \
         FROM v {} jobs ON {HELD}{}",
        rows(dead.len(), 4),
        unit.backend.join(),
        unit.backend.keep_jobs()
    );
    unit.txn.execute_raw(unit.statement(&sql, values)).await?;
    Ok(())
}

/// The fence, and the holder, are compared with the row as it stands inside this transaction.
const HELD: &str =
    "jobs.id = v.id AND jobs.fence = v.fence AND jobs.boot_id = v.boot AND jobs.state = 'leased'";

fn lease_values(lease: &Lease) -> [Value; 3] {
    [
        lease.job.as_uuid().into(),
        lease.fence.0.into(),
        lease.boot.as_uuid().into(),
    ]
}

async fn ids(unit: &Unit<'_>, sql: &str, values: Vec<Value>) -> Result<Vec<Uuid>, DbErr> {
    let rows = unit.txn.query_all_raw(unit.statement(sql, values)).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

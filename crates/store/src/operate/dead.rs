//! Jobs that need a person: shown, put back, forgotten.

use std::time::Duration;

use async_trait::async_trait;
use posthaste_queue::{
    JobId,
    operate::{Cause, DeadFilter, DeadJob},
};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use uuid::Uuid;

use crate::{
    Store,
    convert::{count, lane, micros},
    sql::{Words, statement},
    writer::{AsyncWork, Unit},
};

const fn word(cause: Cause) -> &'static str {
    match cause {
        Cause::Dead => "dead",
        Cause::Quarantined => "quarantined",
    }
}

/// The condition of a filter at `now`, and its values.
fn condition(filter: &DeadFilter, now: i64) -> (String, Vec<Value>) {
    let DeadFilter {
        id,
        lane,
        kind,
        tenant,
        cause,
        dead_for,
    } = filter;
    let parts = [
        id.map(|id| ("id = ?", Value::from(id.as_uuid()))),
        lane.as_ref().map(|lane| ("lane = ?", lane.as_str().into())),
        kind.as_ref().map(|kind| ("kind = ?", kind.as_str().into())),
        tenant
            .as_ref()
            .map(|tenant| ("tenant = ?", tenant.as_str().into())),
        cause.map(|cause| ("cause = ?", word(cause).into())),
        dead_for.map(|least| {
            let least = i64::try_from(least.as_micros()).unwrap_or(i64::MAX);
            ("died_at <= ?", now.saturating_sub(least).into())
        }),
    ];
    let (mut sql, mut values) = (String::from("1 = 1"), Vec::new());
    for (part, value) in parts.into_iter().flatten() {
        sql.push_str(" AND ");
        sql.push_str(part);
        values.push(value);
    }
    (sql, values)
}

pub(super) async fn page(
    store: &Store,
    filter: &DeadFilter,
    after: Option<JobId>,
    limit: u32,
) -> Result<Vec<DeadJob>, DbErr> {
    let now = micros(store.connector.now(&store.reader, &*store.clock).await?);
    let (mut which, mut values) = condition(filter, now);
    if let Some(after) = after {
        which.push_str(
            " AND (died_at, id) < ((SELECT d.died_at FROM dead_jobs d WHERE d.id = ?), ?)",
        );
        values.extend([after.as_uuid().into(), after.as_uuid().into()]);
    }
    values.push(i64::from(limit).into());
    let sql = format!(
        "SELECT id, lane, kind, payload, tenant, attempts, crashes, cause, reason, last_error, created_at, died_at \
         FROM dead_jobs WHERE {which} ORDER BY died_at DESC, id DESC LIMIT ?"
    );
    let rows = store
        .reader
        .query_all_raw(statement(store.backend, &sql, values))
        .await?;
    rows.iter().map(|row| shown(row, now)).collect()
}

fn shown(row: &QueryResult, now: i64) -> Result<DeadJob, DbErr> {
    let cause: String = row.try_get("", "cause")?;
    let since = |at: i64| Duration::from_micros(u64::try_from(now - at).unwrap_or_default());
    Ok(DeadJob {
        id: JobId::from_uuid(row.try_get("", "id")?),
        lane: lane(&row.try_get::<String>("", "lane")?)?,
        kind: row.try_get("", "kind")?,
        payload: row.try_get("", "payload")?,
        tenant: row.try_get("", "tenant")?,
        attempts: count(row.try_get("", "attempts")?),
        crashes: count(row.try_get("", "crashes")?),
        cause: if cause == word(Cause::Quarantined) {
            Cause::Quarantined
        } else {
            Cause::Dead
        },
        reason: row.try_get("", "reason")?,
        last_error: row.try_get("", "last_error")?,
        age: since(row.try_get("", "created_at")?),
        dead_for: since(row.try_get("", "died_at")?),
    })
}

/// Dead jobs of a filter, the oldest first, locked until the transaction ends.
async fn locked(
    unit: &Unit<'_>,
    filter: &DeadFilter,
    limit: u32,
    also: &str,
) -> Result<Vec<Value>, DbErr> {
    let (which, mut values) = condition(filter, micros(unit.now));
    values.push(i64::from(limit).into());
    let sql = format!(
        "SELECT id FROM dead_jobs WHERE {which}{also} ORDER BY died_at, id LIMIT ?{}",
        unit.backend.skip_taken()
    );
    let rows = unit.txn.query_all_raw(unit.statement(&sql, values)).await?;
    let id = |row: &QueryResult| row.try_get_by_index::<Uuid>(0).map(Value::from);
    rows.iter().map(id).collect()
}

fn places(ids: &[Value]) -> String {
    vec!["?"; ids.len()].join(", ")
}

async fn forget(unit: &Unit<'_>, ids: Vec<Value>) -> Result<u64, DbErr> {
    if ids.is_empty() {
        return Ok(0);
    }
    let sql = format!("DELETE FROM dead_jobs WHERE id IN ({})", places(&ids));
    let deleted = unit.txn.execute_raw(unit.statement(&sql, ids)).await?;
    Ok(deleted.rows_affected())
}

pub(super) struct Retry {
    pub(super) filter: DeadFilter,
    pub(super) limit: u32,
}

#[async_trait]
impl AsyncWork<u64> for Retry {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<u64, DbErr> {
        let free =
            " AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.unique_key = dead_jobs.unique_key)";
        let ids = locked(unit, &self.filter, self.limit, free).await?;
        if ids.is_empty() {
            return Ok(0);
        }
        // Scheduled for now: the promoter gives ranks, and the fence goes on where it was.
        let revive = format!(
            "INSERT INTO jobs (id, lane, kind, payload, state, run_at, attempts, crashes, fence, last_error, \
             created_at, rank, tenant, unique_key, expires_at) \
             SELECT id, lane, kind, payload, 'scheduled', ?, 0, 0, fence, last_error, \
             created_at, 0, tenant, unique_key, expires_at + (? - died_at) FROM dead_jobs WHERE id IN ({}) ORDER BY died_at, id \
             ON CONFLICT DO NOTHING RETURNING id",
            places(&ids)
        );
        let now = Value::from(micros(unit.now));
        let values = [now.clone(), now.clone()].into_iter().chain(ids);
        let revived = unit
            .txn
            .query_all_raw(unit.statement(&revive, values.collect::<Vec<_>>()))
            .await?;
        let id = |row: &QueryResult| row.try_get_by_index::<Uuid>(0).map(Value::from);
        let revived = revived.iter().map(id).collect::<Result<Vec<_>, _>>()?;
        if !revived.is_empty() {
            reopen(unit, &revived).await?;
        }
        forget(unit, revived).await
    }
}

/// Opens again the deliveries that ended with their jobs, and no others; a message whose time was over meanwhile gets as
/// much time again as it had.
async fn reopen(unit: &Unit<'_>, ids: &[Value]) -> Result<(), DbErr> {
    let now = Value::from(micros(unit.now));
    let open = format!(
        "UPDATE deliveries SET state = CASE WHEN tries > 0 THEN 'deferred' ELSE 'queued' END, updated_at = ? \
         WHERE state IN ('failed', 'quarantined') AND message_id IN ({}) \
         AND updated_at = (SELECT died_at FROM dead_jobs WHERE dead_jobs.id = deliveries.message_id)",
        places(ids)
    );
    let values = std::iter::once(now.clone()).chain(ids.iter().cloned());
    unit.txn
        .execute_raw(unit.statement(&open, values.collect::<Vec<_>>()))
        .await?;
    let prolong = format!(
        "UPDATE messages SET expires_at = ? + (expires_at - created_at) WHERE expires_at <= ? AND id IN ({})",
        places(ids)
    );
    let values = [now.clone(), now].into_iter().chain(ids.iter().cloned());
    unit.txn
        .execute_raw(unit.statement(&prolong, values.collect::<Vec<_>>()))
        .await?;
    Ok(())
}

pub(super) struct Discard {
    pub(super) filter: DeadFilter,
    pub(super) limit: u32,
}

#[async_trait]
impl AsyncWork<u64> for Discard {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<u64, DbErr> {
        let ids = locked(unit, &self.filter, self.limit, "").await?;
        forget(unit, ids).await
    }
}

//! Jobs leave for the dead ones, where they wait for a person.

use posthaste_queue::{Settlement, Verdict, suspect};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Value};
use uuid::Uuid;

use super::{
    end::{HELD, LEASE, lease_values},
    expire::UNLESS_SENT,
};
use crate::{
    convert::micros,
    rows::{Kind, Piece, Rows},
    sql::{Words, statement},
    writer::Unit,
};

/// Most jobs that are quarantined in one step.
const STEP: i64 = 1000;

/// Columns that a job keeps when it dies. Its fence is one of them: should it live again, no lease of its first life
/// may fit.
const KEPT: &str = "lane, kind, payload, attempts, crashes, tenant, unique_key, expires_at, last_error, created_at";

/// An id that died before, and entered anew, dies once more.
const AGAIN: &str = "ON CONFLICT (id) DO UPDATE SET fence = excluded.fence, lane = excluded.lane, kind = excluded.kind, \
     payload = excluded.payload, attempts = excluded.attempts, crashes = excluded.crashes, tenant = excluded.tenant, \
     unique_key = excluded.unique_key, expires_at = excluded.expires_at, last_error = excluded.last_error, \
     created_at = excluded.created_at, cause = excluded.cause, reason = excluded.reason, died_at = excluded.died_at";

/// Copies held jobs whose verdict is [`Verdict::Dead`]; their rows are removed after this.
pub(super) async fn bury<E>(unit: &Unit<'_>, dead: &[&Settlement<E>]) -> Result<(), DbErr> {
    let [id, fence, boot] = LEASE;
    let mut rows = Rows::of(&[id, fence, boot, Kind::Text]);
    for settlement in dead {
        if let Verdict::Dead { reason } = &settlement.verdict {
            let reason = [reason.as_str().into()];
            rows.push(lease_values(&settlement.lease).into_iter().chain(reason));
        }
    }
    for Piece { rows, mut values } in rows.pieces(unit.backend) {
        let sql = format!(
            "WITH v (id, fence, boot, reason) AS ({rows}) \
             INSERT INTO dead_jobs (id, fence, {KEPT}, cause, reason, died_at) \
             SELECT jobs.id, jobs.fence, {KEPT}, 'dead', v.reason, ? FROM v {} jobs ON {HELD} WHERE 1 = 1{} {AGAIN}",
            unit.backend.join(),
            unit.backend.keep_jobs()
        );
        values.push(micros(unit.now).into());
        unit.txn.execute_raw(unit.statement(&sql, values)).await?;
    }
    Ok(())
}

/// Takes jobs that have crashed too often out of the way, with the deliveries that they were to make. Says how many.
pub(crate) async fn quarantine(
    txn: &impl ConnectionTrait,
    backend: DbBackend,
    now: i64,
) -> Result<u64, DbErr> {
    let guilty = format!(
        "SELECT id FROM jobs WHERE state = 'suspect' AND crashes >= {} ORDER BY id LIMIT ?{}",
        suspect::QUARANTINED_FROM,
        backend.skip_taken()
    );
    let guilty = txn
        .query_all_raw(statement(backend, &guilty, [STEP.into()]))
        .await?;
    let ids = guilty
        .iter()
        .map(|row| row.try_get_by_index::<Uuid>(0).map(Value::from))
        .collect::<Result<Vec<_>, _>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    let these = format!("({})", vec!["?"; ids.len()].join(", "));
    let steps = [
        (
            format!(
                "INSERT INTO dead_jobs (id, fence, {KEPT}, cause, reason, died_at) \
                 SELECT id, fence, {KEPT}, 'quarantined', ?, ? FROM jobs WHERE id IN {these} {AGAIN}"
            ),
            vec![suspect::REASON.into(), now.into()],
        ),
        (format!("DELETE FROM jobs WHERE id IN {these}"), vec![]),
        (
            format!(
                "UPDATE deliveries SET state = {UNLESS_SENT} 'quarantined' END, next_attempt_at = NULL, updated_at = ? \
                 WHERE state IN ('queued', 'deferred') AND message_id IN {these}"
            ),
            vec![now.into()],
        ),
    ];
    for (sql, values) in steps {
        let values = values.into_iter().chain(ids.iter().cloned());
        txn.execute_raw(statement(backend, &sql, values)).await?;
    }
    Ok(ids.len() as u64)
}

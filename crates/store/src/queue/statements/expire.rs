//! Jobs whose time is over (I24): taken out unless a worker holds them, of paused lanes too.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Value};
use uuid::Uuid;

use crate::{
    convert::micros,
    sql::{Words, statement},
    writer::Unit,
};

/// Most jobs that are taken out in one step.
const STEP: i64 = 1000;

const OVER: &str = "state <> 'leased' AND expires_at IS NOT NULL AND expires_at <= ?";

/// Whether there is one.
pub(crate) async fn any_expired(connection: &DatabaseConnection, now: i64) -> Result<bool, DbErr> {
    // In their order, or the planner takes the first row that comes to be one of these and reads the table for it.
    let asked = format!("SELECT 1 FROM jobs WHERE {OVER} ORDER BY expires_at LIMIT 1");
    let asked = statement(connection.get_database_backend(), &asked, [now.into()]);
    Ok(connection.query_one_raw(asked).await?.is_some())
}

/// Takes jobs out, and ends the deliveries that they were to make. Says how many.
pub(crate) async fn expire(unit: &Unit<'_>) -> Result<u64, DbErr> {
    let now = micros(unit.now);
    let over = format!(
        "SELECT id FROM jobs WHERE {OVER} ORDER BY expires_at LIMIT ?{}",
        unit.backend.skip_taken()
    );
    let over = unit.statement(&over, [now.into(), STEP.into()]);
    let ids = unit.txn.query_all_raw(over).await?;
    let ids = ids
        .iter()
        .map(|row| row.try_get_by_index::<Uuid>(0).map(Value::from))
        .collect::<Result<Vec<_>, _>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    let these = format!("({})", vec!["?"; ids.len()].join(", "));
    let remove = format!("DELETE FROM jobs WHERE id IN {these}");
    unit.txn
        .execute_raw(unit.statement(&remove, ids.iter().cloned()))
        .await?;
    end_deliveries(unit, "expired", &ids).await?;
    Ok(ids.len() as u64)
}

/// The beginning of the state that a delivery ends in without another attempt: what was perhaps sent stays so (I23).
pub(super) const UNLESS_SENT: &str = "CASE WHEN doubt_hash IS NOT NULL THEN 'uncertain' ELSE";

/// Ends what is still open of the deliveries of these messages, none of which a worker holds.
pub(crate) async fn end_deliveries(
    unit: &Unit<'_>,
    state: &'static str,
    messages: &[Value],
) -> Result<(), DbErr> {
    let end = format!(
        "UPDATE deliveries SET state = {UNLESS_SENT} ? END, next_attempt_at = NULL, updated_at = ? \
         WHERE state IN ('queued', 'deferred') AND message_id IN ({})",
        vec!["?"; messages.len()].join(", ")
    );
    let values = [state.into(), micros(unit.now).into()]
        .into_iter()
        .chain(messages.iter().cloned());
    unit.txn.execute_raw(unit.statement(&end, values)).await?;
    Ok(())
}

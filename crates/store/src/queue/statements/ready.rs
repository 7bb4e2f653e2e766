//! Jobs whose wait is over become ready.

use std::time::Duration;

use posthaste_domain::clock::Timestamp;
use posthaste_queue::{Promoted, Turn};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Value};
use uuid::Uuid;

use super::ready_state;
use crate::{
    convert::{lane, micros},
    sql::{ONE, Words, rows, statement},
    writer::Unit,
};

/// Most jobs that become ready in one step.
const STEP: i64 = 1000;

/// When the next waiting job is due, in microseconds since 1970.
pub(crate) async fn next_due(connection: &impl ConnectionTrait) -> Result<Option<i64>, DbErr> {
    let asked = "SELECT run_at FROM jobs WHERE state = 'scheduled' ORDER BY run_at LIMIT ?";
    let asked = statement(connection.get_database_backend(), asked, ONE);
    connection
        .query_one_raw(asked)
        .await?
        .map(|row| row.try_get_by_index(0))
        .transpose()
}

/// Whether a job waits to run apart.
pub(crate) async fn any_suspect(connection: &DatabaseConnection) -> Result<bool, DbErr> {
    let asked = "SELECT 1 FROM jobs WHERE state = 'suspect' ORDER BY lane, rank LIMIT ?";
    let asked = statement(connection.get_database_backend(), asked, ONE);
    Ok(connection.query_one_raw(asked).await?.is_some())
}

/// From `now` until `due`; zero if that is past.
pub(crate) fn until(due: i64, now: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(due - micros(now)).unwrap_or_default())
}

/// Makes due jobs ready, each at its tenant's rank, so that a thousand that were scheduled for one instant hold up
/// nobody else.
pub(crate) async fn promote(unit: &mut Unit<'_>) -> Result<Promoted, DbErr> {
    unit.refresh_ranks().await?;
    let due = format!(
        "SELECT id, lane, tenant, fence FROM jobs WHERE state = 'scheduled' AND run_at <= ? \
         ORDER BY run_at, id LIMIT ?{}",
        unit.backend.skip_taken()
    );
    let due = unit.statement(&due, [micros(unit.now).into(), STEP.into()]);
    let due = unit.txn.query_all_raw(due).await?;
    let mut values: Vec<Value> = Vec::with_capacity(2 * due.len());
    for row in &due {
        let tenant: String = row.try_get_by_index(2)?;
        let fence: i64 = row.try_get_by_index(3)?;
        let lane = lane(&row.try_get_by_index::<String>(1)?)?;
        let turn = if fence == 0 { Turn::First } else { Turn::Again };
        values.push(row.try_get_by_index::<Uuid>(0)?.into());
        values.push(unit.book.enter(&lane, &tenant, turn).0.into());
    }
    if !due.is_empty() {
        let sql = format!(
            "WITH v (id, rank) AS (VALUES {}) UPDATE jobs SET state = {}, rank = v.rank \
             FROM v WHERE jobs.id = v.id AND jobs.state = 'scheduled'",
            rows(due.len(), 2),
            ready_state("jobs.crashes")
        );
        unit.txn.execute_raw(unit.statement(&sql, values)).await?;
    }
    let next_due = next_due(unit.txn).await?.map(|next| until(next, unit.now));
    Ok(Promoted {
        count: due.len() as u64,
        expired: 0,
        next_due,
    })
}

//! Jobs enter.

use std::collections::HashSet;

use posthaste_queue::{NewJob, Pushed, Rank, Turn};
use sea_orm::DbErr;
use uuid::Uuid;

use super::super::waiting_row;
use crate::{rows::Insert, writer::Unit};

/// Stores jobs; one whose id or key is taken is left out, and its rank is nobody's: to look beforehand would cost every
/// call, and the planner of PostgreSQL may read the whole table for it.
pub(crate) async fn push(unit: &mut Unit<'_>, jobs: &[&NewJob]) -> Result<Vec<Pushed>, DbErr> {
    unit.refresh_ranks().await?;
    let mut rows = Vec::with_capacity(jobs.len());
    for job in jobs {
        let rank = if job.delay.is_zero() {
            unit.book.enter(&job.lane, &job.tenant, Turn::First)
        } else {
            Rank::default()
        };
        rows.push(waiting_row(job, rank, unit.now));
    }
    let stored = Insert::of(rows).run_where_new(unit, "id").await?;
    let stored = stored.iter().map(|row| row.try_get_by_index(0));
    let mut stored: HashSet<Uuid> = stored.collect::<Result<_, _>>()?;
    // Of two jobs with one id the first was stored.
    let pushed = |job: &&NewJob| {
        if stored.remove(&job.id.as_uuid()) {
            Pushed::Stored
        } else {
            Pushed::Known
        }
    };
    Ok(jobs.iter().map(pushed).collect())
}

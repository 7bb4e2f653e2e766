//! Jobs enter.

use std::collections::HashSet;

use posthaste_queue::{NewJob, Pushed, Rank, Turn};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use super::super::waiting_row;
use crate::{
    rows::{Insert, Kind, Piece, Rows},
    sql::Words,
    writer::Unit,
};

/// Stores jobs; one whose id or key is taken is left out, and takes no rank.
pub(crate) async fn push(unit: &mut Unit<'_>, jobs: &[&NewJob]) -> Result<Vec<Pushed>, DbErr> {
    unit.refresh_ranks().await?;
    let mut taken = Taken::by_others(unit, jobs).await?;
    let mut rows = Vec::with_capacity(jobs.len());
    for job in jobs.iter().filter(|job| taken.take(job)) {
        let rank = if job.delay.is_zero() {
            unit.book.enter(&job.lane, &job.tenant, Turn::First)
        } else {
            Rank::default()
        };
        rows.push(waiting_row(job, rank, unit.now));
    }
    // Another node may have come between.
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

/// Ids and keys that live jobs have.
#[derive(Default)]
struct Taken {
    ids: HashSet<Uuid>,
    keys: HashSet<String>,
}

impl Taken {
    /// Those that stand in the way of `jobs`.
    async fn by_others(unit: &Unit<'_>, jobs: &[&NewJob]) -> Result<Self, DbErr> {
        let mut taken = Self::default();
        let mut rows = Rows::of(&[Kind::Uuid, Kind::Text]);
        for job in jobs {
            rows.push([job.id.as_uuid().into(), job.unique.clone().into()]);
        }
        let join = unit.backend.join();
        for Piece { rows, values } in rows.pieces(unit.backend) {
            let sql = format!(
                "WITH v (id, unique_key) AS ({rows}) \
                 SELECT jobs.id, jobs.unique_key FROM v {join} jobs ON jobs.id = v.id \
                 UNION ALL \
                 SELECT jobs.id, jobs.unique_key FROM v {join} jobs ON jobs.unique_key = v.unique_key"
            );
            for row in unit.txn.query_all_raw(unit.statement(&sql, values)).await? {
                taken.ids.insert(row.try_get_by_index(0)?);
                taken.keys.extend(row.try_get_by_index::<Option<_>>(1)?);
            }
        }
        Ok(taken)
    }

    /// Takes the id and the key of a job, if both are free.
    fn take(&mut self, job: &NewJob) -> bool {
        let is_free = |key: &String| !self.keys.contains(key);
        if self.ids.contains(&job.id.as_uuid()) || !job.unique.as_ref().is_none_or(is_free) {
            return false;
        }
        self.ids.insert(job.id.as_uuid());
        self.keys.extend(job.unique.clone());
        true
    }
}

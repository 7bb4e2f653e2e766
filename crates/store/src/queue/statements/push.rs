//! Jobs enter.

use posthaste_queue::{NewJob, Pushed, Turn};
use sea_orm::{DbErr, EntityTrait, sea_query::OnConflict};

use super::super::waiting_row;
use crate::{entity::jobs, writer::Unit};

/// Stores jobs; one whose id or key is taken is left out.
pub(crate) async fn push(unit: &mut Unit<'_>, jobs: &[NewJob]) -> Result<Vec<Pushed>, DbErr> {
    unit.refresh_ranks().await?;
    let mut pushed = Vec::with_capacity(jobs.len());
    for job in jobs {
        let rank = unit.book.next(&job.lane, &job.tenant, Turn::First);
        let row = waiting_row(job, rank, unit.now);
        let insert =
            jobs::Entity::insert(row).on_conflict(OnConflict::new().do_nothing().to_owned());
        let rows = insert.exec_without_returning(unit.txn).await?;
        if rows == 0 {
            pushed.push(Pushed::Known);
            continue;
        }
        if job.delay.is_zero() {
            let book = &mut unit.book;
            book.entered(&job.lane, &job.tenant, Turn::First, rank);
        }
        pushed.push(Pushed::Stored);
    }
    Ok(pushed)
}

//! Single live jobs: taken back, or moved (I25). One conditional write decides.

use std::time::Duration;

use async_trait::async_trait;
use posthaste_domain::clock::later;
use posthaste_queue::{
    JobId,
    operate::{Cancelled, Rescheduled},
};
use sea_orm::{ConnectionTrait, DbErr};

use crate::{
    convert::micros,
    queue::statements::end_deliveries,
    sql::Words,
    writer::{AsyncWork, Unit},
};

pub(super) struct Cancel(pub(super) JobId);

#[async_trait]
impl AsyncWork<Cancelled> for Cancel {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Cancelled, DbErr> {
        let id = self.0.as_uuid();
        let remove = "DELETE FROM jobs WHERE id = ? AND state <> 'leased'";
        let remove = unit.statement(remove, [id.into()]);
        if unit.txn.execute_raw(remove).await?.rows_affected() == 1 {
            end_deliveries(unit, "cancelled", &[id.into()]).await?;
            return Ok(Cancelled::Cancelled);
        }
        Ok(if is_alive(unit, self.0).await? {
            Cancelled::InHand
        } else {
            Cancelled::Absent
        })
    }
}

/// It waits for its first attempt.
const UNTRIED: &str = "state = 'scheduled' AND fence = 0";

pub(super) struct Reschedule(pub(super) JobId, pub(super) Duration);

#[async_trait]
impl AsyncWork<Rescheduled> for Reschedule {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Rescheduled, DbErr> {
        let id = self.0.as_uuid();
        let waits = format!(
            "SELECT run_at FROM jobs WHERE id = ? AND {UNTRIED}{}",
            unit.backend.for_update()
        );
        let waits = unit
            .txn
            .query_one_raw(unit.statement(&waits, [id.into()]))
            .await?;
        let run_at = micros(later(unit.now, self.1));
        let shift = format!(
            "UPDATE jobs SET run_at = ?, expires_at = expires_at + (? - run_at) WHERE id = ? AND {UNTRIED}"
        );
        let shift = unit.statement(&shift, [run_at.into(), run_at.into(), id.into()]);
        if let Some(row) = waits
            && unit.txn.execute_raw(shift).await?.rows_affected() == 1
        {
            // A mail's own expiry moves with its job's.
            let by = run_at - row.try_get_by_index::<i64>(0)?;
            let follow = "UPDATE messages SET expires_at = expires_at + ? WHERE id = ?";
            let follow = unit.statement(follow, [by.into(), id.into()]);
            unit.txn.execute_raw(follow).await?;
            return Ok(Rescheduled::Rescheduled);
        }
        Ok(if is_alive(unit, self.0).await? {
            Rescheduled::TooLate
        } else {
            Rescheduled::Absent
        })
    }
}

async fn is_alive(unit: &Unit<'_>, job: JobId) -> Result<bool, DbErr> {
    let asked = unit.statement("SELECT 1 FROM jobs WHERE id = ?", [job.as_uuid().into()]);
    Ok(unit.txn.query_one_raw(asked).await?.is_some())
}

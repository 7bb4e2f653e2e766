//! The queue's commands to the writer.

use async_trait::async_trait;
use posthaste_queue::{BootId, Claimed, ClaimedJob, Lane, Promoted, Rank};
use sea_orm::DbErr;

use super::statements::{self, Limits, Wanted};
use crate::writer::{AsyncWork, Unit};

pub(super) struct Join(pub(super) BootId);

#[async_trait]
impl AsyncWork<()> for Join {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<(), DbErr> {
        statements::join(unit, self.0).await
    }
}

pub(super) struct Leave(pub(super) BootId);

#[async_trait]
impl AsyncWork<()> for Leave {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<(), DbErr> {
        statements::leave(unit, self.0).await
    }
}

pub(super) struct Claim {
    pub(super) boot: BootId,
    pub(super) lanes: Vec<Wanted>,
}

/// What was claimed, and how far each lane has come by it.
type ClaimedTo = (Claimed, Vec<(Lane, Rank)>);

#[async_trait]
impl AsyncWork<ClaimedTo> for Claim {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<ClaimedTo, DbErr> {
        let (mut claimed, mut reached) = (Claimed::default(), Vec::new());
        let mut limits = Limits::lock(unit, &self.lanes).await?;
        for wanted in &self.lanes {
            let allowance = limits.allowance(unit, wanted).await?;
            let (jobs, rank) = statements::claim(unit, self.boot, wanted, allowance.limit).await?;
            let next = limits.spend(unit, wanted, &allowance, jobs.len()).await?;
            claimed.throttled = claimed.throttled.into_iter().chain(next).min();
            claimed.jobs.extend(jobs);
            reached.extend(rank.map(|rank| (wanted.lane.clone(), rank)));
        }
        for job in &claimed.jobs {
            unit.gave(&job.lease);
        }
        unit.put_down_ranks_now_and_then().await?;
        Ok((claimed, reached))
    }
}

pub(super) struct ClaimSuspect {
    pub(super) boot: BootId,
    pub(super) lanes: Vec<Lane>,
}

#[async_trait]
impl AsyncWork<Option<ClaimedJob>> for ClaimSuspect {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Option<ClaimedJob>, DbErr> {
        let claimed = statements::claim_suspect(unit, self.boot, &self.lanes).await?;
        if let Some(job) = &claimed {
            unit.gave(&job.lease);
        }
        Ok(claimed)
    }
}

pub(super) struct Promote {
    /// Whether jobs may be taken out for their time.
    pub(super) may_expire: bool,
}

#[async_trait]
impl AsyncWork<Promoted> for Promote {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Promoted, DbErr> {
        let expired = if self.may_expire {
            statements::expire(unit).await?
        } else {
            0
        };
        let promoted = statements::promote(unit).await?;
        Ok(Promoted {
            expired,
            ..promoted
        })
    }
}

//! Lanes are claimed from their marks.

use std::{
    collections::HashMap,
    sync::{MutexGuard, PoisonError},
};

use posthaste_queue::{BootId, Claimed, Lane, LaneDemand, QueueError};
use tokio::time::Instant;

use super::{
    commands::Claim,
    marks::{Floor, Marks},
    statements::{self, Wanted},
    unavailable,
};
use crate::Store;

impl Store {
    /// Claims what is ready, at most once more where the first claim began close behind and was not filled.
    pub(super) async fn claim_ready(
        &self,
        boot: BootId,
        lanes: Vec<LaneDemand>,
    ) -> Result<Claimed, QueueError> {
        let lanes = lanes.into_iter().filter(|demand| demand.limit > 0);
        let (mut claimed, short) = self.claim_once(boot, lanes.collect()).await?;
        if short.is_empty() {
            return Ok(claimed);
        }
        match self.claim_once(boot, short).await {
            Ok((more, _)) => {
                claimed.jobs.extend(more.jobs);
                claimed.throttled = claimed.throttled.into_iter().chain(more.throttled).min();
                Ok(claimed)
            }
            // What was claimed is the caller's, whatever happened then.
            Err(_) if !claimed.jobs.is_empty() => Ok(claimed),
            Err(error) => Err(error),
        }
    }

    /// Claims from the marks as they stand. Says also what is to be looked for further behind.
    async fn claim_once(
        &self,
        boot: BootId,
        lanes: Vec<LaneDemand>,
    ) -> Result<(Claimed, Vec<LaneDemand>), QueueError> {
        let now = Instant::now();
        let floors: Vec<Floor> = {
            let mut marks = self.marks();
            let floor = |demand: &LaneDemand| marks.floor(&demand.lane, now);
            lanes.iter().map(floor).collect()
        };
        let wanted = lanes.iter().zip(&floors).map(|(demand, floor)| Wanted {
            lane: demand.lane.clone(),
            limit: demand.limit,
            from: floor.rank,
            shared: demand.shared,
        });
        let ready = statements::ready_lanes(&self.reader, wanted.collect())
            .await
            .map_err(unavailable)?;
        let (claimed, reached) = if ready.is_empty() {
            Default::default()
        } else {
            self.writer.write(Claim { boot, lanes: ready }).await?
        };
        let mut counts: HashMap<&Lane, usize> = HashMap::new();
        for job in &claimed.jobs {
            *counts.entry(&job.meta.lane).or_default() += 1;
        }
        let mut marks = self.marks();
        for (lane, rank) in reached {
            marks.reached(&lane, rank, now);
        }
        let mut short = Vec::new();
        for (mut demand, floor) in lanes.into_iter().zip(floors) {
            let count = counts.get(&demand.lane).copied().unwrap_or(0);
            demand.limit = demand.limit.saturating_sub(count);
            marks.claimed(&demand.lane, demand.limit == 0);
            if floor.is_close && demand.limit > 0 {
                short.push(demand);
            }
        }
        drop(marks);
        Ok((claimed, short))
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

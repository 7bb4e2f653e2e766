//! What people do with the durable queue.

mod dead;
mod jobs;
mod lanes;

use std::time::Duration;

use async_trait::async_trait;
use posthaste_queue::{
    BootId, ControlVersion, JobId, Lane, QueueError,
    operate::{Cancelled, DeadFilter, DeadJob, LaneStatus, Operate, Rescheduled},
};
use sea_orm::{ConnectionTrait, DbErr};

pub(crate) use self::lanes::switched;
use crate::{Store, queue::unavailable, sql::statement};

#[async_trait]
impl Operate for Store {
    async fn lanes(&self) -> Result<Vec<LaneStatus>, QueueError> {
        lanes::all(self).await.map_err(unavailable)
    }

    async fn pause(&self, lane: &Lane) -> Result<ControlVersion, QueueError> {
        self.switch(lane, true).await
    }

    async fn resume(&self, lane: &Lane) -> Result<ControlVersion, QueueError> {
        self.switch(lane, false).await
    }

    async fn lagging(&self, version: ControlVersion) -> Result<Vec<BootId>, QueueError> {
        // A file has one process, which switched itself.
        if self.backend != sea_orm::DbBackend::Postgres {
            return Ok(Vec::new());
        }
        let asked = statement(
            self.backend,
            "SELECT boot_id FROM nodes WHERE left_at IS NULL AND controls < ?",
            [version.0.into()],
        );
        let rows = self
            .reader
            .query_all_raw(asked)
            .await
            .map_err(unavailable)?;
        let node = |row: &sea_orm::QueryResult| row.try_get_by_index(0).map(BootId::from_uuid);
        let nodes: Result<_, DbErr> = rows.iter().map(node).collect();
        nodes.map_err(unavailable)
    }

    async fn cancel(&self, job: JobId) -> Result<Cancelled, QueueError> {
        Ok(self.writer.write(jobs::Cancel(job)).await?)
    }

    async fn reschedule(&self, job: JobId, delay: Duration) -> Result<Rescheduled, QueueError> {
        Ok(self.writer.write(jobs::Reschedule(job, delay)).await?)
    }

    async fn dead(
        &self,
        filter: &DeadFilter,
        after: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<DeadJob>, QueueError> {
        dead::page(self, filter, after, limit)
            .await
            .map_err(unavailable)
    }

    async fn retry_dead(&self, filter: &DeadFilter, limit: u32) -> Result<u64, QueueError> {
        let filter = filter.clone();
        Ok(self.writer.write(dead::Retry { filter, limit }).await?)
    }

    async fn discard_dead(&self, filter: &DeadFilter, limit: u32) -> Result<u64, QueueError> {
        let filter = filter.clone();
        Ok(self.writer.write(dead::Discard { filter, limit }).await?)
    }
}

impl Store {
    async fn switch(&self, lane: &Lane, paused: bool) -> Result<ControlVersion, QueueError> {
        let lane = lane.clone();
        let (version, lanes) = self.writer.write(lanes::Switch { lane, paused }).await?;
        self.controls.apply(version, lanes);
        Ok(version)
    }
}

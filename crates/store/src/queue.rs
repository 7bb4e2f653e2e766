//! The durable queue: rows of live work.

pub(crate) mod book;
mod claim;
mod commands;
pub(crate) mod marks;
pub(crate) mod push;
pub(crate) mod statements;

use std::sync::Arc;

use async_trait::async_trait;
use posthaste_domain::{
    clock::{Timestamp, later},
    delivery::DeliveryReport,
};
use posthaste_queue::{
    BootId, ClaimRequest, Claimed, ClaimedJob, Controls, Fence, Job, JobId, Lane, NewJob, Promoted,
    Pulse, Pushed, Queue, QueueError, Rank, Settled, Settlement, Swept,
};
use sea_orm::{DbErr, Set};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::{
    commands::{ClaimSuspect, Join, Leave, Promote},
    push::Push,
};
use crate::{
    Store,
    beat::Beats,
    connect::Connector,
    convert::micros,
    entity::jobs,
    settle::Settle,
    writer::{Command, Failure},
};

/// The job that accepting a message implies: send it. Its id is the message's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendEmail {
    /// The message.
    pub message: Uuid,
}

impl Job for SendEmail {
    const KIND: &'static str = "send_email";
}

/// Where a live job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It may be claimed.
    Ready,
    /// It waits until `run_at`.
    Scheduled,
    /// A node holds it.
    Leased,
}

impl State {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Scheduled => "scheduled",
            Self::Leased => "leased",
        }
    }
}

/// The row of a job that waits to be claimed: at `rank`, or, with a delay, without one, which it gets when it becomes
/// ready.
pub(crate) fn waiting_row(job: &NewJob, rank: Rank, now: Timestamp) -> jobs::ActiveModel {
    if job.delay.is_zero() {
        new_row(job, State::Ready, rank, now)
    } else {
        new_row(job, State::Scheduled, Rank::default(), now)
    }
}

/// The row of a job that nobody has held yet.
pub(crate) fn new_row(job: &NewJob, state: State, rank: Rank, now: Timestamp) -> jobs::ActiveModel {
    jobs::ActiveModel {
        id: Set(job.id.as_uuid()),
        lane: Set(job.lane.to_string()),
        kind: Set(job.kind.clone()),
        payload: Set(job.payload.clone()),
        state: Set(state.word().to_owned()),
        run_at: Set(micros(later(now, job.delay))),
        attempts: Set(0),
        crashes: Set(0),
        fence: Set(0),
        boot_id: Set(None),
        last_error: Set(None),
        created_at: Set(micros(now)),
        rank: Set(rank.0),
        tenant: Set(job.tenant.clone()),
        unique_key: Set(job.unique.clone()),
        expires_at: Set(job.expires_in.map(|after| micros(later(now, after)))),
    }
}

#[async_trait]
impl Queue for Store {
    type Effects = DeliveryReport;

    async fn join(&self, boot: BootId) -> Result<Pulse, QueueError> {
        let Connector::Postgres(postgres) = &self.connector else {
            self.writer.write(Join(boot)).await?;
            return Ok(Pulse::unjudged());
        };
        // The row counts as the first beat, sent now.
        let pulse = Pulse::beating();
        self.writer.write(Join(boot)).await?;
        let controls = self.controls.clone();
        let beats = Beats::start(postgres.clone(), boot, pulse.clone(), controls);
        let beats = beats.map_err(|error| QueueError::Unavailable(Some(Box::new(error))))?;
        self.beats().insert(boot, beats);
        Ok(pulse)
    }

    async fn leave(&self, boot: BootId) -> Result<(), QueueError> {
        let left = self.writer.write(Leave(boot)).await;
        self.beats().remove(&boot);
        Ok(left?)
    }

    async fn sweep(&self) -> Result<Swept, QueueError> {
        self.sweep_nodes().await
    }

    async fn push(&self, jobs: Vec<NewJob>) -> Result<Vec<Pushed>, QueueError> {
        let (push, answer) = Push::new(jobs);
        self.writer.urgent(Command::Push(push)).await?;
        Ok(answer.await.unwrap_or_else(|_| Err(Failure::closed()))?)
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed, QueueError> {
        self.claim_ready(request.boot, request.lanes).await
    }

    async fn held(&self, boot: BootId) -> Result<Vec<(JobId, Fence)>, QueueError> {
        statements::held(&self.reader, boot)
            .await
            .map_err(unavailable)
    }

    fn controls(&self) -> Controls {
        self.controls.clone()
    }

    async fn claim_suspect(
        &self,
        boot: BootId,
        lanes: &[Lane],
    ) -> Result<Option<ClaimedJob>, QueueError> {
        if lanes.is_empty()
            || !statements::any_suspect(&self.reader)
                .await
                .map_err(unavailable)?
        {
            return Ok(None);
        }
        let lanes = lanes.to_vec();
        Ok(self.writer.write(ClaimSuspect { boot, lanes }).await?)
    }

    async fn settle(
        &self,
        batch: Arc<[Settlement<DeliveryReport>]>,
    ) -> Result<Vec<Settled>, QueueError> {
        let (settle, answer) = Settle::new(batch);
        self.writer.urgent(Command::Settle(settle)).await?;
        Ok(answer.await.unwrap_or_else(|_| Err(Failure::closed()))?)
    }

    async fn promote(&self) -> Result<Promoted, QueueError> {
        let now = self.connector.now(&self.reader, &*self.clock).await;
        let now = now.map_err(unavailable)?;
        let next = statements::next_due(&self.reader)
            .await
            .map_err(unavailable)?;
        let may_expire = self.may_expire(now);
        let over = may_expire
            && statements::any_expired(&self.reader, micros(now))
                .await
                .map_err(unavailable)?;
        if !over && next.is_none_or(|next| next > micros(now)) {
            return Ok(Promoted {
                count: 0,
                expired: 0,
                next_due: next.map(|next| statements::until(next, now)),
            });
        }
        Ok(self.writer.write(Promote { may_expire }).await?)
    }
}

pub(crate) fn unavailable(error: DbErr) -> QueueError {
    QueueError::Unavailable(Some(Box::new(error)))
}

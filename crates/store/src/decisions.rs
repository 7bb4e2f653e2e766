//! [`Decisions`] on the database: one transaction each, so that no worker comes between the look and the change.

use std::time::Duration;

use async_trait::async_trait;
use posthaste_domain::{
    id::MessageId,
    owner::Owner,
    stores::{Decided, Decisions, Move, Resolution, StoreError},
};
use posthaste_queue::{Job, JobId, NewJob};
use sea_orm::{ConnectionTrait, DbErr, Value};

use crate::{
    Store,
    convert::micros,
    queue::SendEmail,
    sql::Words,
    writer::{AsyncWork, Unit},
};

#[async_trait]
impl Decisions for Store {
    async fn resolve(
        &self,
        owner: &Owner,
        id: MessageId,
        resolution: Resolution,
    ) -> Result<Decided, StoreError> {
        let owner = owner.clone();
        let resolve = Resolve {
            owner,
            id,
            resolution,
        };
        Ok(self.writer.write(resolve).await?)
    }

    async fn retry(&self, owner: &Owner, id: MessageId) -> Result<Decided, StoreError> {
        let owner = owner.clone();
        let decided = self.writer.write(Retry { owner, id }).await?;
        Ok(decided)
    }

    async fn reschedule(
        &self,
        owner: &Owner,
        id: MessageId,
        to: Move,
    ) -> Result<Decided, StoreError> {
        let owner = owner.clone();
        let decided = self.writer.write(Reschedule { owner, id, to }).await?;
        Ok(decided)
    }
}

struct Resolve {
    owner: Owner,
    id: MessageId,
    resolution: Resolution,
}

#[async_trait]
impl AsyncWork<Decided> for Resolve {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Decided, DbErr> {
        if message(unit, &self.owner, self.id).await?.is_none() {
            return Ok(Decided::Absent);
        }
        let state = match self.resolution {
            Resolution::Delivered => "delivered",
            Resolution::Failed => "failed",
        };
        let end = "UPDATE deliveries SET state = ?, updated_at = ? WHERE message_id = ? AND state = 'uncertain'";
        let values = [
            state.into(),
            micros(unit.now).into(),
            self.id.as_uuid().into(),
        ];
        Ok(decided(execute(unit, end, values).await?))
    }
}

struct Retry {
    owner: Owner,
    id: MessageId,
}

/// What is needed of a message to send it again.
struct Again {
    lane: String,
    /// How long it may be tried, in microseconds.
    lasts: i64,
    has_body: bool,
}

#[async_trait]
impl AsyncWork<Decided> for Retry {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Decided, DbErr> {
        let Some(again) = message(unit, &self.owner, self.id).await? else {
            return Ok(Decided::Absent);
        };
        if !again.has_body {
            return Ok(Decided::WithoutBody);
        }
        let id = Value::from(self.id.as_uuid());
        let live = live(unit, self.id).await?;
        if live.as_deref() == Some("leased") {
            return Ok(Decided::InHand);
        }
        let open = "UPDATE deliveries SET state = CASE WHEN tries > 0 THEN 'deferred' ELSE 'queued' END, \
             doubt_hash = NULL, doubt_transport = NULL, updated_at = ? \
             WHERE message_id = ? AND state IN ('failed', 'expired', 'uncertain')";
        let now = micros(unit.now);
        if execute(unit, open, [now.into(), id.clone()]).await? == 0 {
            return Ok(Decided::NothingToDecide);
        }
        let until = now.saturating_add(again.lasts);
        let prolong = "UPDATE messages SET expires_at = ? WHERE id = ?";
        execute(unit, prolong, [until.into(), id.clone()]).await?;
        if live.is_some() {
            let hurry = "UPDATE jobs SET expires_at = ?, run_at = CASE WHEN state = 'scheduled' THEN ? ELSE run_at END \
                 WHERE id = ?";
            execute(unit, hurry, [until.into(), now.into(), id]).await?;
        } else {
            self.enqueue(unit, &again.lane, until).await?;
        }
        Ok(Decided::Done)
    }
}

impl Retry {
    /// A job of the same id. Its fence goes on behind every one that was given out before, so that no lease of an earlier
    /// life fits.
    async fn enqueue(&self, unit: &Unit<'_>, lane: &str, until: i64) -> Result<(), DbErr> {
        let (id, now) = (
            Value::from(self.id.as_uuid()),
            Value::from(micros(unit.now)),
        );
        let message = self.id.as_uuid();
        let lane = crate::convert::lane(lane)?;
        let job = NewJob::of(JobId::from_uuid(message), lane, &SendEmail { message });
        let payload = job
            .map_err(|error| DbErr::Custom(error.to_string()))?
            .payload;
        // Scheduled for now: the promoter gives ranks.
        let enqueue = "INSERT INTO jobs (id, lane, kind, payload, state, run_at, attempts, crashes, fence, created_at, rank, \
             tenant, expires_at) \
             SELECT id, stream, ?, ?, 'scheduled', ?, 0, 0, 1 + \
             coalesce((SELECT max(fence) FROM attempts WHERE message_id = messages.id), 0) + \
             coalesce((SELECT fence FROM dead_jobs WHERE dead_jobs.id = messages.id), 0), \
             ?, 0, owner, ? FROM messages WHERE id = ?";
        let values = [
            SendEmail::KIND.into(),
            payload.into(),
            now.clone(),
            now,
            until.into(),
            id.clone(),
        ];
        execute(unit, enqueue, values).await?;
        execute(unit, "DELETE FROM dead_jobs WHERE id = ?", [id]).await?;
        Ok(())
    }
}

/// Where the job of a message stands; it stays there until the transaction ends.
async fn live(unit: &Unit<'_>, id: MessageId) -> Result<Option<String>, DbErr> {
    let live = format!(
        "SELECT state FROM jobs WHERE id = ?{}",
        unit.backend.for_update()
    );
    let live = unit.statement(&live, [id.as_uuid().into()]);
    let row = unit.txn.query_one_raw(live).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}

struct Reschedule {
    owner: Owner,
    id: MessageId,
    to: Move,
}

#[async_trait]
impl AsyncWork<Decided> for Reschedule {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Decided, DbErr> {
        let id = Value::from(self.id.as_uuid());
        let asked = "SELECT scheduled_at, expires_at FROM messages WHERE id = ? AND owner = ?";
        let asked = unit.statement(asked, [id.clone(), self.owner.as_str().into()]);
        let Some(row) = unit.txn.query_one_raw(asked).await? else {
            return Ok(Decided::Absent);
        };
        let scheduled_at: Option<i64> = row.try_get_by_index(0)?;
        let expires_at: i64 = row.try_get_by_index(1)?;
        // One that is tried again waits for a time as well, and not for one that anybody chose.
        let tried = "SELECT 1 FROM deliveries WHERE message_id = ? AND state <> 'queued' LIMIT 1";
        let tried = unit.statement(tried, [id.clone()]);
        let tried = unit.txn.query_one_raw(tried).await?.is_some();
        let scheduled_at = match (scheduled_at, live(unit, self.id).await?.as_deref()) {
            (_, Some("leased")) => return Ok(Decided::InHand),
            (Some(at), Some("scheduled")) if !tried => at,
            _ => return Ok(Decided::NothingToDecide),
        };
        let span = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let (due_at, usual) = (micros(self.to.due_at), span(self.to.usual_expiry));
        let expires_at = if expires_at - scheduled_at == usual {
            due_at.saturating_add(usual)
        } else if expires_at > due_at {
            expires_at
        } else {
            return Ok(Decided::Expired);
        };
        let moved = "UPDATE messages SET scheduled_at = ?, expires_at = ? WHERE id = ?";
        execute(unit, moved, [due_at.into(), expires_at.into(), id.clone()]).await?;
        // By the database's clock.
        let run_at = micros(unit.now).saturating_add(span(self.to.wait));
        let until = run_at.saturating_add(expires_at - due_at);
        let moved = "UPDATE jobs SET run_at = ?, expires_at = ? WHERE id = ?";
        execute(unit, moved, [run_at.into(), until.into(), id]).await?;
        Ok(Decided::Done)
    }
}

async fn message(unit: &Unit<'_>, owner: &Owner, id: MessageId) -> Result<Option<Again>, DbErr> {
    let asked = "SELECT stream, expires_at - coalesce(scheduled_at, created_at), \
         EXISTS (SELECT 1 FROM message_bodies WHERE message_id = messages.id) \
         FROM messages WHERE id = ? AND owner = ?";
    let asked = unit.statement(asked, [id.as_uuid().into(), owner.as_str().into()]);
    let Some(row) = unit.txn.query_one_raw(asked).await? else {
        return Ok(None);
    };
    Ok(Some(Again {
        lane: row.try_get_by_index(0)?,
        lasts: row.try_get_by_index(1)?,
        has_body: row.try_get_by_index(2)?,
    }))
}

async fn execute(
    unit: &Unit<'_>,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, DbErr> {
    let done = unit.txn.execute_raw(unit.statement(sql, values)).await?;
    Ok(done.rows_affected())
}

const fn decided(rows: u64) -> Decided {
    if rows == 0 {
        Decided::NothingToDecide
    } else {
        Decided::Done
    }
}

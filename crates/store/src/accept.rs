//! Accepting messages: many submits as a few multi-row statements in one transaction.

mod in_flight;
mod keys;
mod once;

use std::time::Duration;

use async_trait::async_trait;
use posthaste_domain::{idempotency::Keyed, message::NewMessage, stores::StoreError};
use posthaste_queue::{ClaimedJob, JobId, JobMeta, Lane, NewJob, Rank, Turn};
use sea_orm::{ConnectionTrait, DbErr, Set};
use tokio::sync::oneshot;

use self::keys::{Claim, Kept};
pub(crate) use self::{in_flight::InFlight, keys::stale};
use crate::{
    attachments,
    convert::message::{body_row, delivery_rows, message_row, tag_rows},
    entity::jobs,
    queue::{SendEmail, State, new_row, waiting_row},
    rows::Insert,
    writer::{Closing, Failure, Space, Unit, Write},
};

/// Keys of one statement: SQLite binds at most 32,766 values.
const ROWS: usize = 2000;

/// A submit on its way to the disk: of one owner, and of one message at least.
pub(crate) struct Accept {
    messages: Vec<NewMessage>,
    keyed: Option<Keyed>,
    /// The jobs are due after this wait.
    after: Duration,
    reply: oneshot::Sender<Result<Ended, StoreError>>,
}

/// How the writer ended a submit.
pub(crate) enum Ended {
    /// It is on disk.
    Stored,
    /// Its key stands for an earlier submit.
    Found(Kept),
    /// Its key is in the hands of another node, which has not committed: to be tried again.
    Elsewhere(Box<(Vec<NewMessage>, Keyed)>),
}

impl Accept {
    pub(crate) fn new(
        messages: Vec<NewMessage>,
        keyed: Option<Keyed>,
        after: Duration,
    ) -> (Self, oneshot::Receiver<Result<Ended, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (
            Self {
                messages,
                keyed,
                after,
                reply,
            },
            answer,
        )
    }

    pub(crate) fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    pub(crate) fn refuse(self, failure: Failure) {
        self.reply.send(Err(failure.into())).ok();
    }

    /// A caller that hung up gets no answer; what it asked for is written all the same.
    fn committed(self, claim: Claim) {
        let Self {
            messages,
            keyed,
            reply,
            ..
        } = self;
        let ended = match (claim, keyed) {
            (Claim::First, _) | (Claim::Elsewhere, None) => Ended::Stored,
            (Claim::Later(kept), _) => Ended::Found(kept),
            (Claim::Elsewhere, Some(keyed)) => Ended::Elsewhere(Box::new((messages, keyed))),
        };
        reply.send(Ok(ended)).ok();
    }
}

/// Submits that are written together.
pub(crate) struct AcceptGroup {
    accepts: Vec<(Accept, Space)>,
    claims: Vec<Claim>,
}

impl AcceptGroup {
    pub(crate) fn new(accepts: Vec<(Accept, Space)>) -> Self {
        Self {
            accepts,
            claims: Vec::new(),
        }
    }
}

#[async_trait]
impl Write for AcceptGroup {
    async fn apply(&mut self, unit: &mut Unit<'_>) -> Result<(), DbErr> {
        let submits = self.accepts.iter();
        let submits = submits.map(|(accept, _)| (&accept.messages[..], accept.keyed.as_ref()));
        self.claims = keys::claim(unit, submits).await?;
        let stored = self.accepts.iter().zip(&self.claims);
        let stored = stored.filter(|(_, claim)| matches!(claim, Claim::First));
        let stored: Vec<_> = stored
            .flat_map(|((accept, _), _)| accept.messages.iter().map(|m| (m, accept.after)))
            .collect();
        if stored.is_empty() {
            return Ok(());
        }
        if let Some(inserts) = inserts(unit, &stored).await? {
            unit.close_with(inserts);
        }
        Ok(())
    }

    /// Without keys to be looked up, and without what goes in by statements of its own.
    fn only_inserts(&self) -> bool {
        let is_plain = |accept: &Accept| {
            accept.keyed.is_none() && accept.messages.iter().all(|m| m.attachments.is_empty())
        };
        self.accepts.iter().all(|(accept, _)| is_plain(accept))
    }

    fn committed(self: Box<Self>) {
        for ((accept, _space), claim) in self.accepts.into_iter().zip(self.claims) {
            accept.committed(claim);
        }
    }

    fn failed(self: Box<Self>, failure: Failure) {
        for (accept, _space) in self.accepts {
            accept.refuse(failure.clone());
        }
    }

    fn abandoned(&self) -> bool {
        self.accepts.iter().all(|(accept, _)| accept.abandoned())
    }

    fn split(self: Box<Self>) -> Vec<Box<dyn Write>> {
        self.accepts
            .into_iter()
            .map(|accept| Box::new(Self::new(vec![accept])) as Box<dyn Write>)
            .collect()
    }
}

/// Stores messages with their deliveries and jobs. A job begins at once, after the commit, where an executor is free.
pub(crate) async fn insert(unit: &mut Unit<'_>, messages: &[&NewMessage]) -> Result<(), DbErr> {
    let at_once: Vec<_> = messages.iter().map(|m| (*m, Duration::ZERO)).collect();
    if let Some(Closing { sql, values }) = inserts(unit, &at_once).await? {
        unit.txn.execute_raw(unit.statement(&sql, values)).await?;
    }
    Ok(())
}

/// What stores messages with their deliveries and jobs, each job after a wait.
async fn inserts(
    unit: &mut Unit<'_>,
    messages: &[(&NewMessage, Duration)],
) -> Result<Option<Closing>, DbErr> {
    unit.refresh_ranks().await?;
    attachments::insert(unit, messages.iter().map(|(message, _)| *message)).await?;
    let jobs = messages
        .iter()
        .map(|(message, after)| job_row(unit, message, *after))
        .collect::<Result<Vec<_>, _>>()?;
    let rows = messages.iter().map(|(message, _)| message_row(message));
    let bodies = messages
        .iter()
        .map(|(message, _)| body_row(message, unit.sealer));
    let deliveries = messages
        .iter()
        .flat_map(|(message, _)| delivery_rows(message));
    let tags = messages.iter().flat_map(|(message, _)| tag_rows(message));
    let inserts = vec![
        Insert::of(rows),
        Insert::of(bodies),
        Insert::of(jobs),
        Insert::of(deliveries),
        Insert::of(tags),
    ];
    Ok(Insert::together(inserts, unit.backend))
}

fn job_row(
    unit: &mut Unit<'_>,
    message: &NewMessage,
    delay: Duration,
) -> Result<jobs::ActiveModel, DbErr> {
    let id = JobId::from_uuid(message.id.as_uuid());
    let lane: Lane = message
        .stream
        .as_str()
        .parse()
        .map_err(|_| DbErr::Custom("a stream without a lane".into()))?;
    let job = NewJob::of(
        id,
        lane.clone(),
        &SendEmail {
            message: message.id.as_uuid(),
        },
    );
    // Durations, for the clock that counts is the database's.
    let lasts = (message.expires_at - message.created_at).to_std();
    let until_due = (message.due_at() - message.created_at).to_std();
    let delay = delay.max(until_due.unwrap_or_default());
    let job = NewJob {
        tenant: message.owner.to_string(),
        expires_in: Some(lasts.unwrap_or_default()),
        delay,
        ..job.map_err(|error| DbErr::Custom(error.to_string()))?
    };
    if !job.delay.is_zero() {
        return Ok(waiting_row(&job, Rank::default(), unit.now));
    }
    let Some(reservation) = unit.reserve(&lane) else {
        unit.work_waits(lane);
        let rank = unit.book.enter(&job.lane, &job.tenant, Turn::First);
        return Ok(waiting_row(&job, rank, unit.now));
    };
    let lease = reservation.lease(id);
    let rank = unit.book.reached(&lane);
    let row = jobs::ActiveModel {
        boot_id: Set(Some(lease.boot.as_uuid())),
        fence: Set(lease.fence.0),
        attempts: Set(1),
        ..new_row(&job, State::Leased, rank, unit.now)
    };
    let meta = JobMeta {
        id,
        lane,
        kind: job.kind,
        attempt: 1,
        crashes: 0,
        tenant: job.tenant,
    };
    unit.hand_over(
        reservation,
        ClaimedJob {
            lease,
            meta,
            payload: job.payload,
        },
    );
    Ok(row)
}

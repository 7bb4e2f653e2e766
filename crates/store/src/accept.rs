//! Accepting messages: many submits as a few multi-row statements in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use posthaste_domain::{
    id::MessageId,
    idempotency::Idempotency,
    message::NewMessage,
    owner::Owner,
    stores::{Accepted, StoreError},
};
use posthaste_queue::{ClaimedJob, JobId, JobMeta, Lane, NewJob, Turn};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DbErr, EntityTrait, QueryFilter, Set, sea_query::OnConflict,
};
use tokio::sync::oneshot;

use crate::{
    convert::{
        message::{body_row, delivery_rows, message_row},
        micros,
    },
    entity::{deliveries, idempotency_keys, jobs, message_bodies, messages},
    queue::{SendEmail, State, new_row, waiting_row},
    writer::{Failure, Space, Unit, Write},
};

/// Rows of one `INSERT`: SQLite binds at most 32,766 values in a statement, and no table here has more than 16 columns.
const ROWS: usize = 2000;

/// A submit on its way to the disk.
pub(crate) struct Accept {
    message: NewMessage,
    idempotency: Option<Idempotency>,
    reply: oneshot::Sender<Result<Accepted, StoreError>>,
}

impl Accept {
    pub(crate) fn new(
        message: NewMessage,
        idempotency: Option<Idempotency>,
    ) -> (Self, oneshot::Receiver<Result<Accepted, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (
            Self {
                message,
                idempotency,
                reply,
            },
            answer,
        )
    }

    pub(crate) fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    pub(crate) fn refuse(self: Box<Self>, failure: Failure) {
        self.answer(Err(failure.into()));
    }

    /// A caller that hung up gets no answer; what it asked for is written all the same.
    fn answer(self: Box<Self>, answer: Result<Accepted, StoreError>) {
        self.reply.send(answer).ok();
    }
}

/// Submits that are written together.
pub(crate) struct AcceptGroup {
    accepts: Vec<(Box<Accept>, Space)>,
    answers: Vec<Accepted>,
}

impl AcceptGroup {
    pub(crate) fn new(accepts: Vec<(Box<Accept>, Space)>) -> Self {
        Self {
            accepts,
            answers: Vec::new(),
        }
    }
}

#[async_trait]
impl Write for AcceptGroup {
    async fn apply(&mut self, unit: &mut Unit<'_>) -> Result<(), DbErr> {
        self.answers = claim_keys(unit, self.accepts.iter().map(|(accept, _)| &**accept)).await?;
        let stored = self.accepts.iter().zip(&self.answers);
        let stored = stored.filter(|(_, answer)| matches!(answer, Accepted::Stored));
        insert(
            unit,
            &stored
                .map(|((accept, _), _)| &accept.message)
                .collect::<Vec<_>>(),
        )
        .await
    }

    fn committed(self: Box<Self>) {
        for ((accept, _space), answer) in self.accepts.into_iter().zip(self.answers) {
            accept.answer(Ok(answer));
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
    unit.refresh_ranks().await?;
    for messages in messages.chunks(ROWS) {
        messages::Entity::insert_many(messages.iter().map(|m| message_row(m)))
            .exec_without_returning(unit.txn)
            .await?;
        message_bodies::Entity::insert_many(messages.iter().map(|m| body_row(m, unit.sealer)))
            .exec_without_returning(unit.txn)
            .await?;
        let jobs = messages
            .iter()
            .map(|message| job_row(unit, message))
            .collect::<Result<Vec<_>, _>>()?;
        jobs::Entity::insert_many(jobs)
            .exec_without_returning(unit.txn)
            .await?;
    }
    let rows: Vec<_> = messages
        .iter()
        .flat_map(|message| delivery_rows(message))
        .collect();
    insert_in_chunks::<deliveries::ActiveModel>(unit, rows).await
}

/// Inserts any number of rows.
pub(crate) async fn insert_in_chunks<A>(unit: &Unit<'_>, mut rows: Vec<A>) -> Result<(), DbErr>
where
    A: ActiveModelTrait + Send,
{
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(ROWS));
        A::Entity::insert_many(rows)
            .exec_without_returning(unit.txn)
            .await?;
        rows = rest;
    }
    Ok(())
}

fn job_row(unit: &mut Unit<'_>, message: &NewMessage) -> Result<jobs::ActiveModel, DbErr> {
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
    let job = NewJob {
        tenant: message.owner.to_string(),
        expires_in: Some(lasts.unwrap_or_default()),
        ..job.map_err(|error| DbErr::Custom(error.to_string()))?
    };
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

/// Inserts the idempotency keys, sorted, and tells for each submit whether it is the one to store. Of two submits under
/// one key the one whose row was inserted wins; the other is answered from that row.
async fn claim_keys(
    unit: &Unit<'_>,
    accepts: impl Iterator<Item = &Accept>,
) -> Result<Vec<Accepted>, DbErr> {
    let accepts: Vec<_> = accepts.collect();
    let keyed = |accept: &&&Accept| accept.idempotency.is_some();
    if !accepts.iter().any(|accept| keyed(&accept)) {
        return Ok(vec![Accepted::Stored; accepts.len()]);
    }
    let mut rows: Vec<_> = accepts
        .iter()
        .filter_map(|accept| {
            accept
                .idempotency
                .as_ref()
                .map(|key| (identity(&accept.message.owner, key), key, accept))
        })
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    let models = rows
        .iter()
        .map(
            |((owner, route, key), idempotency, accept)| idempotency_keys::ActiveModel {
                owner: Set(owner.clone()),
                route: Set(route.clone()),
                key: Set(key.clone()),
                fingerprint: Set(idempotency.fingerprint.to_vec()),
                message_id: Set(accept.message.id.as_uuid()),
                created_at: Set(micros(unit.now)),
            },
        );
    let models: Vec<_> = models.collect();
    for models in models.chunks(ROWS) {
        let nothing = OnConflict::new().do_nothing().to_owned();
        idempotency_keys::Entity::insert_many(models.to_vec())
            .on_conflict(nothing)
            .exec_without_returning(unit.txn)
            .await?;
    }
    // Whichever row stands there now is the winner's, be it of this batch or of an earlier one.
    let keys: BTreeSet<String> = rows.iter().map(|((_, _, key), ..)| key.clone()).collect();
    let mut winners = BTreeMap::new();
    for keys in keys.into_iter().collect::<Vec<_>>().chunks(ROWS) {
        let found = idempotency_keys::Entity::find()
            .filter(idempotency_keys::Column::Key.is_in(keys.iter().cloned()))
            .all(unit.txn)
            .await?;
        winners.extend(
            found
                .into_iter()
                .map(|row| ((row.owner.clone(), row.route.clone(), row.key.clone()), row)),
        );
    }
    Ok(accepts
        .iter()
        .map(|accept| judge(accept, &winners))
        .collect())
}

type Identity = (String, String, String);

fn identity(owner: &Owner, idempotency: &Idempotency) -> Identity {
    (
        owner.to_string(),
        idempotency.route.clone(),
        idempotency.key.as_str().to_owned(),
    )
}

fn judge(accept: &Accept, winners: &BTreeMap<Identity, idempotency_keys::Model>) -> Accepted {
    let Some(idempotency) = &accept.idempotency else {
        return Accepted::Stored;
    };
    match winners.get(&identity(&accept.message.owner, idempotency)) {
        Some(row) if row.message_id == accept.message.id.as_uuid() => Accepted::Stored,
        Some(row) if row.fingerprint == idempotency.fingerprint => {
            Accepted::Replayed(MessageId::from_uuid(row.message_id))
        }
        Some(_) => Accepted::KeyReused,
        None => Accepted::Stored,
    }
}

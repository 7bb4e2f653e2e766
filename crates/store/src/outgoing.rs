//! What workers are about to send, read for many of them at once.
//!
//! A worker that drains a backlog asks for one message after another, from many tasks. Each would cost three statements
//! and, on SQLite, three changes of thread; whoever asks first reads for all that wait, as the writer commits for all.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use posthaste_domain::{
    clock::Timestamp,
    delivery::{BodyHash, DeliveryState, Doubt},
    id::{DeliveryId, MessageId},
    message::NewMessage,
    stores::{OpenDelivery, OutgoingMessage, StoreError},
};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Value};
use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

use crate::{
    Store,
    convert::{self, count, read, timestamp, unreadable, word::Word},
    entity::{deliveries, message_bodies, messages},
    messages::read_failed,
    sql::statement,
};

/// Most messages of one read.
const TOGETHER: usize = 32;
/// Reads that go on at a time: while one is on its way, the next gathers.
const READS: usize = 2;

type Found = Result<Option<OutgoingMessage>, StoreError>;

/// Those who wait for a message.
#[derive(Debug)]
pub(crate) struct Loads {
    waiting: Mutex<Vec<(MessageId, oneshot::Sender<Found>)>>,
    turns: Semaphore,
}

impl Default for Loads {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            turns: Semaphore::new(READS),
        }
    }
}

impl Loads {
    fn waiting(&self) -> MutexGuard<'_, Vec<(MessageId, oneshot::Sender<Found>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first of those who wait.
    fn next(&self) -> Vec<(MessageId, oneshot::Sender<Found>)> {
        let mut waiting = self.waiting();
        let most = waiting.len().min(TOGETHER);
        waiting.drain(..most).collect()
    }
}

impl Store {
    /// What a worker needs to send a message. Whoever has a turn reads for all that wait; the call may be dropped at any
    /// time, and those whom it was reading for ask again.
    pub(crate) async fn outgoing_message(&self, id: MessageId) -> Found {
        loop {
            let (reply, mut answer) = oneshot::channel();
            self.loads.waiting().push((id, reply));
            let turn = tokio::select! {
                biased;
                answered = &mut answer => match answered {
                    Ok(found) => return found,
                    Err(_dropped) => continue,
                },
                turn = self.loads.turns.acquire() => turn,
            };
            // Until its own is read: there may be nobody behind it.
            loop {
                let batch = self.loads.next();
                if batch.is_empty() {
                    break;
                }
                self.load_all(batch).await;
                if let Ok(found) = answer.try_recv() {
                    return found;
                }
            }
            drop(turn);
            // Somebody else reads it, or was dropped while he did.
            if let Ok(found) = answer.await {
                return found;
            }
        }
    }

    async fn load_all(&self, batch: Vec<(MessageId, oneshot::Sender<Found>)>) {
        let ids: Vec<_> = batch.iter().map(|(id, _)| id.as_uuid()).collect();
        let mut found = match self.rows(&ids).await {
            Ok(found) => found,
            Err(error) => {
                let mut error = Some(error);
                for (_, reply) in batch {
                    // Nobody waits any more where it fails.
                    let told = error.take().unwrap_or(StoreError::Unavailable(None));
                    reply.send(Err(told)).ok();
                }
                return;
            }
        };
        for (id, reply) in batch {
            reply.send(found.take(id.as_uuid(), self)).ok();
        }
    }

    async fn rows(&self, ids: &[Uuid]) -> Result<Rows, StoreError> {
        let ids = padded(ids);
        let messages = messages::Entity::find()
            .filter(messages::Column::Id.is_in(ids.iter().copied()))
            .all(&self.reader)
            .await
            .map_err(read_failed)?;
        let bodies = message_bodies::Entity::find()
            .filter(message_bodies::Column::MessageId.is_in(ids.iter().copied()))
            .all(&self.reader)
            .await
            .map_err(read_failed)?;
        let deliveries = deliveries::Entity::find()
            .filter(deliveries::Column::MessageId.is_in(ids.iter().copied()))
            .all(&self.reader)
            .await
            .map_err(read_failed)?;
        let mut rows = Rows {
            messages: messages.into_iter().map(|row| (row.id, row)).collect(),
            bodies: bodies
                .into_iter()
                .map(|row| (row.message_id, row))
                .collect(),
            deliveries: HashMap::new(),
            expiries: self.expiries(&ids).await?,
        };
        for row in deliveries {
            rows.deliveries.entry(row.message_id).or_default().push(row);
        }
        for rows in rows.deliveries.values_mut() {
            rows.sort_by_key(|row| row.position);
        }
        Ok(rows)
    }

    /// When the messages expire by this node's clock, where their jobs say when by the database's: on PostgreSQL.
    async fn expiries(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, Timestamp>, StoreError> {
        if self.backend != DbBackend::Postgres {
            return Ok(HashMap::new());
        }
        let asked = format!(
            "SELECT id, expires_at, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint \
             FROM jobs WHERE expires_at IS NOT NULL AND id IN ({})",
            vec!["?"; ids.len()].join(", ")
        );
        let asked = statement(self.backend, &asked, ids.iter().map(|id| Value::from(*id)));
        let rows = self
            .reader
            .query_all_raw(asked)
            .await
            .map_err(read_failed)?;
        let expiry = |row: &sea_orm::QueryResult| {
            let at = |index| timestamp(row.try_get_by_index(index).map_err(read_failed)?);
            let id = row.try_get_by_index(0).map_err(read_failed)?;
            let (expires_at, now): (Timestamp, Timestamp) = (at(1)?, at(2)?);
            if !self.may_expire(now) {
                return Ok((id, Timestamp::MAX_UTC));
            }
            let here = self.clock.now().checked_add_signed(expires_at - now);
            Ok((id, here.unwrap_or(expires_at)))
        };
        rows.iter().map(expiry).collect()
    }
}

/// What was read.
struct Rows {
    messages: HashMap<Uuid, messages::Model>,
    bodies: HashMap<Uuid, message_bodies::Model>,
    deliveries: HashMap<Uuid, Vec<deliveries::Model>>,
    expiries: HashMap<Uuid, Timestamp>,
}

impl Rows {
    fn take(&mut self, id: Uuid, store: &Store) -> Found {
        let Some(row) = self.messages.remove(&id) else {
            return Ok(None);
        };
        let body = self.bodies.remove(&id);
        let rows = self.deliveries.remove(&id).unwrap_or_default();
        let message = store.whole(row, body, &rows)?;
        let mut open = Vec::new();
        for row in &rows {
            let state = DeliveryState::read(&row.state)?;
            if !state.is_final() {
                open.push(OpenDelivery {
                    id: DeliveryId::from_uuid(row.id),
                    recipient: read("deliveries.recipient", &row.recipient)?,
                    state,
                    tries: count(row.tries),
                    doubt: doubt(row)?,
                });
            }
        }
        // A job of a release that did not say, or one that ended meanwhile, says nothing.
        let expires_at = self.expiries.remove(&id).unwrap_or(message.expires_at);
        Ok(Some(OutgoingMessage {
            message,
            open,
            expires_at,
        }))
    }
}

impl Store {
    /// A message of its rows.
    pub(crate) fn whole(
        &self,
        row: messages::Model,
        body: Option<message_bodies::Model>,
        deliveries: &[deliveries::Model],
    ) -> Result<NewMessage, StoreError> {
        let body = body.unwrap_or_else(|| removed_body(&row));
        convert::message::message(row, body, deliveries, &self.sealer)
    }
}

/// As many ids as one of few lengths, the last one repeated: each length is a statement of its own that stays prepared.
fn padded(ids: &[Uuid]) -> Vec<Uuid> {
    let mut padded = ids.to_vec();
    if let Some(last) = ids.last() {
        padded.resize(ids.len().next_power_of_two(), *last);
    }
    padded
}

fn doubt(row: &deliveries::Model) -> Result<Option<Doubt>, StoreError> {
    let Some(hash) = row.doubt_hash.as_deref() else {
        return Ok(None);
    };
    let hash = hash.try_into();
    Ok(Some(Doubt {
        body_hash: BodyHash(hash.map_err(|_| unreadable("deliveries.doubt_hash"))?),
        transport: row.doubt_transport.clone(),
    }))
}

/// What stands for a body whose time was over before its message's.
fn removed_body(row: &messages::Model) -> message_bodies::Model {
    message_bodies::Model {
        message_id: row.id,
        html: None,
        text: None,
        variables: row.template_name.is_some().then(|| "{}".to_owned()),
        sealed: None,
    }
}

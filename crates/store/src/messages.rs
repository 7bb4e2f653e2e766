//! [`MessageStore`] on the database.

use std::time::Duration;

use async_trait::async_trait;
use posthaste_domain::{
    delivery::{AttemptRun, BodyHash, DeliveryState, Reply},
    id::{DeliveryId, MessageId},
    idempotency::{Answer, Idempotency, Keyed},
    message::NewMessage,
    owner::Owner,
    stores::{
        Accepted, Finding, MessageStore, OutgoingMessage, StoreError, StoreHealth, StoredAttempt,
        StoredDelivery, StoredMessage,
    },
};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};

use crate::{
    Store,
    convert::{count, read, timestamp, unreadable, word::Word},
    entity::{attempts, deliveries, jobs, message_bodies, messages},
    queue::State,
    sql::statement,
};

/// A read that failed: the database is there to be asked again.
pub(crate) fn read_failed(error: DbErr) -> StoreError {
    StoreError::Unavailable(Some(Box::new(error)))
}

#[async_trait]
impl MessageStore for Store {
    async fn accept(
        &self,
        message: NewMessage,
        keyed: Option<Keyed>,
    ) -> Result<Accepted, StoreError> {
        self.accept_all(vec![message], keyed).await
    }

    async fn accept_all(
        &self,
        messages: Vec<NewMessage>,
        keyed: Option<Keyed>,
    ) -> Result<Accepted, StoreError> {
        let Some(owner) = messages.first().map(|message| message.owner.clone()) else {
            return Ok(Accepted::Stored);
        };
        match keyed {
            Some(keyed) => self.accepted_once(&owner, messages, keyed).await,
            None => {
                self.accepted(messages, None, Duration::ZERO).await?;
                Ok(Accepted::Stored)
            }
        }
    }

    async fn spill(&self, message: NewMessage, after: Duration) -> Result<(), StoreError> {
        self.accepted(vec![message], None, after).await.map(|_| ())
    }

    async fn answered(
        &self,
        owner: &Owner,
        request: &Idempotency,
    ) -> Result<Option<Answer>, StoreError> {
        self.kept_answer(owner, request).await
    }

    async fn message(
        &self,
        owner: &Owner,
        id: MessageId,
    ) -> Result<Option<StoredMessage>, StoreError> {
        let loaded = self.load(id).await?;
        let Some(Loaded {
            message,
            removed,
            rows,
        }) = loaded.filter(|loaded| &loaded.message.owner == owner)
        else {
            return Ok(None);
        };
        let states = rows
            .iter()
            .map(|row| DeliveryState::read(&row.state))
            .collect::<Result<_, _>>()?;
        let job = jobs::Entity::find_by_id(id.as_uuid())
            .one(&self.reader)
            .await
            .map_err(read_failed)?;
        let is = |state: State| job.as_ref().is_some_and(|job| job.state == state.word());
        Ok(Some(StoredMessage {
            scheduled: message.scheduled_at.is_some() && is(State::Scheduled),
            leased: is(State::Leased),
            message,
            removed,
            states,
        }))
    }

    async fn deliveries(
        &self,
        owner: &Owner,
        id: MessageId,
    ) -> Result<Option<Vec<StoredDelivery>>, StoreError> {
        let row = messages::Entity::find_by_id(id.as_uuid())
            .one(&self.reader)
            .await
            .map_err(read_failed)?;
        if row.is_none_or(|row| row.owner != owner.as_str()) {
            return Ok(None);
        }
        let rows = self.delivery_rows(id).await?;
        let attempts = attempts::Entity::find()
            .filter(attempts::Column::MessageId.eq(id.as_uuid()))
            .order_by_asc(attempts::Column::Id)
            .all(&self.reader)
            .await
            .map_err(read_failed)?;
        rows.iter()
            .map(|row| delivery(row, &attempts))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    async fn outgoing(&self, id: MessageId) -> Result<Option<OutgoingMessage>, StoreError> {
        self.outgoing_message(id).await
    }
}

/// A message with the rows of its deliveries.
struct Loaded {
    message: NewMessage,
    /// Whether its body was removed.
    removed: bool,
    rows: Vec<deliveries::Model>,
}

#[async_trait]
impl StoreHealth for Store {
    async fn ping(&self) -> Result<(), StoreError> {
        self.reader
            .query_one_raw(statement(self.backend, "SELECT 1", []))
            .await
            .map_err(read_failed)?;
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        self.condition.findings()
    }
}

impl Store {
    async fn load(&self, id: MessageId) -> Result<Option<Loaded>, StoreError> {
        let found = messages::Entity::find_by_id(id.as_uuid())
            .one(&self.reader)
            .await
            .map_err(read_failed)?;
        let Some(row) = found else { return Ok(None) };
        let body = message_bodies::Entity::find_by_id(id.as_uuid())
            .one(&self.reader)
            .await
            .map_err(read_failed)?;
        let rows = self.delivery_rows(id).await?;
        let removed = body.is_none();
        let message = self.whole(row, body, &rows)?;
        Ok(Some(Loaded {
            message,
            removed,
            rows,
        }))
    }

    async fn delivery_rows(&self, id: MessageId) -> Result<Vec<deliveries::Model>, StoreError> {
        deliveries::Entity::find()
            .filter(deliveries::Column::MessageId.eq(id.as_uuid()))
            .order_by_asc(deliveries::Column::Position)
            .all(&self.reader)
            .await
            .map_err(read_failed)
    }
}

fn delivery(
    row: &deliveries::Model,
    attempts: &[attempts::Model],
) -> Result<StoredDelivery, StoreError> {
    let mine = attempts
        .iter()
        .filter(|attempt| attempt.delivery_id == row.id);
    Ok(StoredDelivery {
        id: DeliveryId::from_uuid(row.id),
        recipient: read("deliveries.recipient", &row.recipient)?,
        state: DeliveryState::read(&row.state)?,
        tries: count(row.tries),
        next_attempt_at: row.next_attempt_at.map(timestamp).transpose()?,
        attempts: mine.map(attempt).collect::<Result<_, _>>()?,
    })
}

fn attempt(row: &attempts::Model) -> Result<StoredAttempt, StoreError> {
    let hash = row
        .body_hash
        .as_deref()
        .map(<[u8; 32]>::try_from)
        .transpose();
    let run = AttemptRun {
        started_at: timestamp(row.started_at)?,
        duration: std::time::Duration::from_micros(
            u64::try_from(row.duration_us).unwrap_or_default(),
        ),
        transport: row.transport.clone(),
        remote: row.remote.clone(),
        body_hash: hash
            .map_err(|_| unreadable("attempts.body_hash"))?
            .map(BodyHash),
        transcript: row.transcript.clone(),
    };
    let reply = Reply {
        stage: Word::read(&row.stage)?,
        class: Word::read(&row.class)?,
        code: row.code.and_then(|code| u16::try_from(code).ok()),
        enhanced: row
            .enhanced
            .as_deref()
            .map(|code| read("attempts.enhanced", code))
            .transpose()?,
        retry_after: None,
        text: row.text.clone(),
    };
    Ok(StoredAttempt {
        run,
        reply,
        stale: row.stale,
    })
}

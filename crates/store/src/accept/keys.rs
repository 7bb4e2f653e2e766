//! Idempotency keys in the database: which submits of a batch are the first under their key, and what the others find.
//!
//! Keys go in first and sorted, and whether one that is there has served its time is decided by the statement that
//! inserts (I28). On PostgreSQL a transaction of another node may hold a key without having committed; waiting for it
//! would hold up the writer with all its other commands, so the key is tried for by a lock that ends with the
//! transaction, and whoever does not get it comes again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::TimeDelta;
use posthaste_domain::{
    clock::Timestamp,
    idempotency::{Answer, Idempotency, Keyed},
    message::NewMessage,
    owner::Owner,
    stores::{Accepted, StoreError},
};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Value};
use uuid::Uuid;

use super::ROWS;
use crate::{
    Store,
    convert::micros,
    entity::idempotency_keys::{Column, Entity, Model},
    messages::read_failed,
    sql::{self, Words},
    writer::Unit,
};

/// Whose key, for which route, which key: what makes it one.
pub(super) type Identity = (String, String, String);

pub(super) fn identity(owner: &Owner, request: &Idempotency) -> Identity {
    (
        owner.to_string(),
        request.route.clone(),
        request.key.as_str().to_owned(),
    )
}

/// What stands under a key.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(super) fingerprint: [u8; 32],
    pub(super) answer: Answer,
}

impl Kept {
    /// What somebody is told who comes with this request under the same key.
    pub(super) fn tell(self, request: &Idempotency) -> Accepted {
        if self.fingerprint == request.fingerprint {
            Accepted::Replayed(self.answer)
        } else {
            Accepted::KeyReused
        }
    }
}

impl From<Model> for Kept {
    fn from(row: Model) -> Self {
        let status = row.answer_status.and_then(|code| u16::try_from(code).ok());
        let answer = match (status, row.answer_body) {
            (Some(status), Some(body)) => Answer { status, body },
            // A release that kept no answers gave this one.
            _ => Answer {
                status: 200,
                body: format!("{{\"id\":\"{}\"}}", row.message_id),
            },
        };
        // A fingerprint of another length was made by another release's rule, and is no request of this one's.
        let fingerprint = row.fingerprint.try_into().unwrap_or_default();
        Self {
            fingerprint,
            answer,
        }
    }
}

/// What a submit is to its key.
#[derive(Debug)]
pub(super) enum Claim {
    /// The first, or one without a key: it is to be stored.
    First,
    /// A later one.
    Later(Kept),
    /// The key is in the hands of another node, which has not committed.
    Elsewhere,
}

/// Inserts the keys of a batch and tells for each submit what it is. Of two submits of the batch under one key the
/// earlier one is the first.
pub(super) async fn claim<'a>(
    unit: &Unit<'_>,
    submits: impl Iterator<Item = (&'a [NewMessage], Option<&'a Keyed>)>,
) -> Result<Vec<Claim>, DbErr> {
    let submits: Vec<_> = submits
        .map(|(messages, keyed)| {
            // The first one stands for all of them.
            let message = messages.first();
            let keyed = message.zip(keyed);
            keyed.map(|(message, keyed)| {
                let identity = identity(&message.owner, &keyed.request);
                (message, keyed, identity)
            })
        })
        .collect();
    let mut firsts: BTreeMap<&Identity, (&NewMessage, &Keyed)> = BTreeMap::new();
    for (message, keyed, identity) in submits.iter().flatten() {
        firsts.entry(identity).or_insert((message, keyed));
    }
    if firsts.is_empty() {
        return Ok(submits.iter().map(|_| Claim::First).collect());
    }
    let stale = unit.keys_before();
    let rows: Vec<_> = firsts
        .iter()
        .map(|(identity, (message, keyed))| row(unit, identity, message, keyed))
        .collect();
    let mut won = BTreeSet::new();
    for rows in rows.chunks(ROWS) {
        won.extend(insert(unit, rows, stale).await?);
    }
    let lost = firsts
        .iter()
        .filter(|(_, (message, _))| !won.contains(&message.id.as_uuid()))
        .map(|((_, _, key), _)| key.clone());
    let mut kept = standing(unit.txn, lost.collect(), stale).await?;
    for (identity, (message, keyed)) in &firsts {
        if won.contains(&message.id.as_uuid()) {
            let first = Kept {
                fingerprint: keyed.request.fingerprint,
                answer: keyed.answer.clone(),
            };
            kept.insert((*identity).clone(), first);
        }
    }
    let judge = |keyed: &Option<(&NewMessage, &Keyed, Identity)>| match keyed {
        None => Claim::First,
        Some((message, ..)) if won.contains(&message.id.as_uuid()) => Claim::First,
        Some((_, _, identity)) => kept
            .get(identity)
            .cloned()
            .map_or(Claim::Elsewhere, Claim::Later),
    };
    Ok(submits.iter().map(judge).collect())
}

/// The columns, in the order of [`row`].
const COLUMNS: [&str; 8] = [
    "owner",
    "route",
    "key",
    "fingerprint",
    "message_id",
    "created_at",
    "answer_status",
    "answer_body",
];

fn row(
    unit: &Unit<'_>,
    (owner, route, key): &Identity,
    message: &NewMessage,
    keyed: &Keyed,
) -> [Value; COLUMNS.len()] {
    [
        owner.clone().into(),
        route.clone().into(),
        key.clone().into(),
        keyed.request.fingerprint.to_vec().into(),
        message.id.as_uuid().into(),
        micros(unit.now).into(),
        i32::from(keyed.answer.status).into(),
        keyed.answer.body.clone().into(),
    ]
}

/// Puts in the keys that nobody holds, over those that have served their time, and gives the messages whose keys they
/// are now.
async fn insert(
    unit: &Unit<'_>,
    rows: &[[Value; COLUMNS.len()]],
    stale: i64,
) -> Result<Vec<Uuid>, DbErr> {
    let anew = COLUMNS[3..].iter();
    let anew: Vec<_> = anew
        .map(|column| format!("{column} = excluded.{column}"))
        .collect();
    let sql = format!(
        "INSERT INTO idempotency_keys ({columns}) SELECT * FROM (VALUES {rows}) AS given WHERE {free} \
         ON CONFLICT (owner, route, key) DO UPDATE SET {anew} WHERE idempotency_keys.created_at <= ? \
         RETURNING message_id",
        columns = COLUMNS.join(", "),
        rows = sql::rows(rows.len(), COLUMNS.len()),
        free = unit.backend.key_is_free(),
        anew = anew.join(", "),
    );
    let values = rows.iter().flatten().cloned().chain([stale.into()]);
    let inserted = unit.txn.query_all_raw(unit.statement(&sql, values)).await?;
    inserted.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// What stands under these keys, of whatever owner and route.
async fn standing(
    connection: &impl ConnectionTrait,
    keys: BTreeSet<String>,
    stale: i64,
) -> Result<BTreeMap<Identity, Kept>, DbErr> {
    let keys: Vec<_> = keys.into_iter().collect();
    let mut standing = BTreeMap::new();
    for keys in keys.chunks(ROWS) {
        let found = Entity::find()
            .filter(Column::Key.is_in(keys.iter().cloned()))
            .filter(Column::CreatedAt.gt(stale))
            .all(connection)
            .await?;
        standing.extend(found.into_iter().map(|row| {
            let identity = (row.owner.clone(), row.route.clone(), row.key.clone());
            (identity, Kept::from(row))
        }));
    }
    Ok(standing)
}

/// The instant at or before which a key that is kept for so long must have been made to be free again.
pub(crate) fn stale(now: Timestamp, kept: Duration) -> i64 {
    let kept = TimeDelta::from_std(kept).unwrap_or(TimeDelta::MAX);
    micros(
        now.checked_sub_signed(kept)
            .unwrap_or(Timestamp::UNIX_EPOCH),
    )
}

impl Store {
    /// What stands under the key of a request, if it is the same request.
    pub(crate) async fn kept_answer(
        &self,
        owner: &Owner,
        request: &Idempotency,
    ) -> Result<Option<Answer>, StoreError> {
        let now = self.connector.now(&self.reader, &*self.clock).await;
        let stale = stale(now.map_err(read_failed)?, self.keys_kept);
        let found = Entity::find_by_id(identity(owner, request))
            .filter(Column::CreatedAt.gt(stale))
            .one(&self.reader)
            .await
            .map_err(read_failed)?;
        Ok(found.and_then(|row| match Kept::from(row).tell(request) {
            Accepted::Replayed(answer) => Some(answer),
            Accepted::Stored
            | Accepted::InMemory
            | Accepted::Dropped
            | Accepted::KeyReused
            | Accepted::InProgress => None,
        }))
    }
}

#[cfg(test)]
mod tests;

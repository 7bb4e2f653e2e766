//! The limit on account mails to one address, counted where the mails are stored: no restart and no second node forgets.

use posthaste_domain::{
    address::EmailAddress,
    clock::Timestamp,
    stores::{MailAllowance, Requested},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use sha2::{Digest, Sha256};

use crate::{convert::micros, entity::account_mail_requests as requests, writer::Unit};

/// How far requests may overtake each other between asking and storing, in microseconds: a minute.
const OVERTAKEN: i64 = 60_000_000;

/// Counts a request, if the address has not had as many as are allowed. Refused ones do not count, so that the wait that
/// is told is true.
pub(crate) async fn count(
    unit: &Unit<'_>,
    email: &EmailAddress,
    at: Timestamp,
    allowance: MailAllowance,
) -> Result<Requested, DbErr> {
    let address = Sha256::digest(email.canonical().expose()).to_vec();
    if unit.backend == DbBackend::Postgres {
        // Two nodes that count one address at once would each find room.
        let mut key = [0; 8];
        key.copy_from_slice(&address[..8]);
        let lock = "SELECT pg_advisory_xact_lock(?)";
        let lock = unit.statement(lock, [i64::from_be_bytes(key).into()]);
        unit.txn.execute_raw(lock).await?;
    }
    let now = micros(at);
    let window = i64::try_from(allowance.window.as_micros()).unwrap_or(i64::MAX);
    // What lies far ahead was counted before the clock was set back: it locks nobody out. A little ahead lies what was
    // asked for later and stored earlier.
    let counted: Vec<i64> = requests::Entity::find()
        .select_only()
        .column(requests::Column::At)
        .filter(requests::Column::AddressHash.eq(address.clone()))
        .filter(requests::Column::At.gt(now.saturating_sub(window)))
        .filter(requests::Column::At.lte(now.saturating_add(OVERTAKEN)))
        .order_by_desc(requests::Column::At)
        .limit(u64::from(allowance.requests.max(1)))
        .into_tuple()
        .all(unit.txn)
        .await?;
    let allowed = usize::try_from(allowance.requests.max(1)).unwrap_or(usize::MAX);
    if let Some(oldest) = counted.get(allowed - 1) {
        let wait = oldest.saturating_add(window).saturating_sub(now).max(1);
        return Ok(Requested::Limited {
            retry_after: std::time::Duration::from_micros(u64::try_from(wait).unwrap_or_default()),
        });
    }
    let row = requests::ActiveModel {
        address_hash: Set(address),
        at: Set(now),
        ..requests::ActiveModel::default()
    };
    requests::Entity::insert(row)
        .exec_without_returning(unit.txn)
        .await?;
    Ok(Requested::Taken)
}

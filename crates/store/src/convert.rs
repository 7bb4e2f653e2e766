//! Between the domain and the rows: the only place where states are words and instants are numbers. Every conversion is
//! written field by field, and each word is read back by the table that wrote it.

mod attachment;
pub(crate) mod message;
pub(crate) mod word;

use chrono::DateTime;
use posthaste_domain::{clock::Timestamp, stores::StoreError};
use posthaste_queue::Lane;
use sea_orm::DbErr;

/// Microseconds since 1970.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.timestamp_micros()
}

pub(crate) fn timestamp(micros: i64) -> Result<Timestamp, StoreError> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| StoreError::Unreadable(format!("instant {micros}")))
}

/// A number that the schema holds as signed and that is never negative.
pub(crate) fn count(stored: i32) -> u32 {
    u32::try_from(stored).unwrap_or_default()
}

/// A stored text of which the type says how it reads.
pub(crate) fn read<T: std::str::FromStr>(column: &str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| unreadable(column))
}

/// A lane, inside a transaction or a read of the queue's own tables.
pub(crate) fn lane(name: &str) -> Result<Lane, DbErr> {
    name.parse()
        .map_err(|_| DbErr::Custom(format!("`{name}` in the database is no lane")))
}

/// Says which column cannot be read, never what stands in it.
pub(crate) fn unreadable(column: &str) -> StoreError {
    StoreError::Unreadable(column.to_owned())
}

//! Why a write failed, and what that says about the connection it ran on.

use std::sync::Arc;

use posthaste_domain::stores::StoreError;
use posthaste_queue::QueueError;
use sea_orm::{DbErr, RuntimeErr, sqlx};

/// Primary result codes of SQLite: a lock was not had, a constraint was broken.
const SQLITE_BUSY: i32 = 5;
const SQLITE_CONSTRAINT: i32 = 19;

/// How a write failed, shared by all the commands of its batch.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// Nothing was written.
    NotWritten(Option<Arc<DbErr>>),
    /// The commit was sent, and its answer is not known.
    Unknown(Arc<DbErr>),
    /// Nothing was written: the disk is nearly full.
    DiskFloor,
}

impl Failure {
    /// The store is closing.
    pub(crate) fn closed() -> Self {
        Self::NotWritten(None)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotWritten(None) => Self::Unavailable(None),
            Failure::NotWritten(Some(error)) => Self::Unavailable(Some(Box::new(error))),
            Failure::Unknown(error) => Self::OutcomeUnknown(Some(Box::new(error))),
            Failure::DiskFloor => Self::Unavailable(Some("the disk is nearly full".into())),
        }
    }
}

impl From<Failure> for QueueError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotWritten(None) => Self::Unavailable(None),
            Failure::NotWritten(Some(error)) | Failure::Unknown(error) => {
                Self::Unavailable(Some(Box::new(error)))
            }
            Failure::DiskFloor => Self::Unavailable(Some("the disk is nearly full".into())),
        }
    }
}

/// Whether SQLite did not get a lock, and so did nothing.
pub(super) fn is_busy(error: &DbErr) -> bool {
    matches!(Told::of(error), Some(Told::Code(SQLITE_BUSY)))
}

/// What a database itself has said.
enum Told {
    /// A primary result code of SQLite.
    Code(i32),
    /// An SQLSTATE.
    State(String),
}

impl Told {
    fn of(error: &DbErr) -> Option<Self> {
        let (DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))) = error
        else {
            return None;
        };
        let sqlx::Error::Database(error) = &**error else {
            return None;
        };
        let code = error.code()?;
        let of_postgresql = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>();
        if of_postgresql.is_some() {
            return Some(Self::State(code.into_owned()));
        }
        // The lower byte of an extended result code is the primary one (sqlite.org/rescode.html).
        Some(Self::Code(code.parse::<i32>().ok()? & 0xff))
    }
}

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// One command's: the connection is sound and the others can go on.
    Command,
    /// Nobody's: two nodes wrote the same rows.
    Conflict,
    /// The connection's, or not known.
    Connection,
}

impl Fault {
    pub(crate) fn of(error: &DbErr) -> Self {
        match Told::of(error) {
            Some(Told::State(state)) => Self::of_sqlstate(&state),
            Some(Told::Code(SQLITE_CONSTRAINT)) => Self::Command,
            Some(Told::Code(_)) | None => Self::Connection,
        }
    }

    /// By class or code of SQLSTATE (PostgreSQL manual, appendix A).
    fn of_sqlstate(code: &str) -> Self {
        match code {
            // Serialization failure, deadlock.
            "40001" | "40P01" => Self::Conflict,
            // Data exception, integrity constraint violation.
            _ if code.starts_with("22") || code.starts_with("23") => Self::Command,
            _ => Self::Connection,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_postgresql_tells_whose_fault_it_is() {
        for (code, fault) in [
            ("23505", Fault::Command),
            ("22021", Fault::Command),
            ("40001", Fault::Conflict),
            ("40P01", Fault::Conflict),
            ("40002", Fault::Connection),
            ("57P01", Fault::Connection),
            ("53100", Fault::Connection),
            ("25P02", Fault::Connection),
        ] {
            assert_eq!(Fault::of_sqlstate(code), fault, "{code}");
        }
    }
}

//! Why a write failed, and what that says about the connection it ran on.

use std::sync::Arc;

use posthaste_domain::stores::StoreError;
use posthaste_queue::QueueError;
use sea_orm::{DbErr, RuntimeErr, sqlx};

/// The primary result code of SQLite for a broken constraint.
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
        let (DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))) = error
        else {
            return Self::Connection;
        };
        let sqlx::Error::Database(error) = &**error else {
            return Self::Connection;
        };
        let Some(code) = error.code() else {
            return Self::Connection;
        };
        if error
            .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
            .is_some()
        {
            return Self::of_sqlstate(&code);
        }
        // The lower byte of an extended result code is the primary one (sqlite.org/rescode.html).
        match code.parse::<i32>() {
            Ok(code) if code & 0xff == SQLITE_CONSTRAINT => Self::Command,
            _ => Self::Connection,
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

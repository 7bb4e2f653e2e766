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

/// Whether an error is the fault of one command, so that the connection is sound and the others can go on.
pub(crate) fn is_of_one_command(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) =
        error
    else {
        return false;
    };
    let sqlx::Error::Database(error) = &**error else {
        return false;
    };
    // The lower byte of an extended result code is the primary one (sqlite.org/rescode.html).
    error
        .code()
        .and_then(|code| code.parse::<i32>().ok())
        .is_some_and(|code| code & 0xff == SQLITE_CONSTRAINT)
}

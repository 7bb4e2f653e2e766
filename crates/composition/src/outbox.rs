//! The outbox of an application that embeds all of this: it enqueues mail inside a transaction of its own.

use std::{fmt, sync::Arc};

use posthaste_domain::{
    desk::{DraftProblem, MailDesk},
    id::MessageId,
    message::Draft,
};
use posthaste_store::{
    EnqueueError, Enqueued, Store,
    sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr},
};

/// Why a draft was not enqueued. Nothing of it is in the transaction.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The draft itself, with every reason at once.
    #[error("the message cannot be accepted")]
    Invalid(Vec<DraftProblem>),
    /// The transaction.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
}

/// Enqueues mail inside transactions of the application's own, on connections of its own to the same database: its rows
/// and the mail become true together, or neither does.
#[derive(Clone)]
pub struct Outbox {
    desk: Arc<MailDesk>,
    store: Arc<Store>,
}

impl Outbox {
    pub(crate) fn new(desk: Arc<MailDesk>, store: Arc<Store>) -> Self {
        Self { desk, store }
    }

    /// Up to `connections` connections for the application's transactions, with synced commits.
    ///
    /// # Errors
    /// [`DbErr`] if the database cannot be reached.
    pub async fn connect(&self, connections: u32) -> Result<DatabaseConnection, DbErr> {
        self.store.connect(connections).await
    }

    /// Begins a transaction that may write. On SQLite everybody else who writes waits until it ends.
    ///
    /// # Errors
    /// [`DbErr`] if the right to write is not had in time, or there is no connection.
    pub async fn begin(
        &self,
        connection: &DatabaseConnection,
    ) -> Result<DatabaseTransaction, DbErr> {
        self.store.begin(connection).await
    }

    /// Makes the draft a message and stores it, with the job that sends it, as part of `txn`. It is sent once `txn` is
    /// committed; tell the returned value of that, so that nobody waits for a poll.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn enqueue_in(
        &self,
        txn: &DatabaseTransaction,
        draft: Draft,
    ) -> Result<(MessageId, Enqueued), OutboxError> {
        let message = self.desk.determine(draft).map_err(OutboxError::Invalid)?;
        let enqueued = self.store.enqueue_in(txn, &message).await?;
        Ok((message.id, enqueued))
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbox")
    }
}

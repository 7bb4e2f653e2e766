//! [`Housekeeping`] on the database: bounded deletes, so that a large backlog never holds the writer for long.

use async_trait::async_trait;
use posthaste_domain::{
    clock::Timestamp,
    stores::{Arranged, Housekeeping, StoreError},
};
use sea_orm::{ConnectionTrait, DbErr};

use crate::{
    Store,
    connect::Connector,
    convert::micros,
    history::{
        PruneHistory,
        weeks::{self, Keep},
    },
    messages::read_failed,
    sql::Words,
    writer::{AsyncWork, Unit},
};

#[async_trait]
impl Housekeeping for Store {
    async fn prune_tokens(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut removed = 0;
        for table in ["one_time_tokens", "refresh_tokens", "sessions"] {
            let expired = Prune {
                table,
                column: "expires_at",
                before,
                limit,
            };
            removed += self.writer.write(expired).await?;
        }
        Ok(removed)
    }

    async fn prune_mail_requests(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let requests = Prune {
            table: "account_mail_requests",
            column: "at",
            before,
            limit,
        };
        Ok(self.writer.write(requests).await?)
    }

    async fn prune_idempotency_keys(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let keys = Prune {
            table: "idempotency_keys",
            column: "created_at",
            before,
            limit,
        };
        Ok(self.writer.write(keys).await?)
    }

    async fn prune_nodes(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        Ok(self
            .writer
            .write(Prune {
                table: "nodes",
                column: "left_at",
                before,
                limit,
            })
            .await?)
    }

    async fn prune_rates(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let rates = Prune {
            table: "rates",
            column: "spent_until",
            before,
            limit,
        };
        Ok(self.writer.write(rates).await?)
    }

    async fn prune_bodies(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let bodies = PruneHistory::bodies(before, limit);
        Ok(self.writer.write(bodies).await?)
    }

    async fn prune_messages(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let messages = PruneHistory::messages(before, limit);
        Ok(self.writer.write(messages).await?)
    }

    async fn arrange_history(
        &self,
        now: Timestamp,
        bodies_before: Timestamp,
        messages_before: Timestamp,
    ) -> Result<Arranged, StoreError> {
        let Connector::Postgres(postgres) = &self.connector else {
            return Ok(Arranged::default());
        };
        let keep = Keep {
            bodies: bodies_before,
            messages: messages_before,
        };
        weeks::arrange(postgres, now, &keep)
            .await
            .map_err(read_failed)
    }
}

/// Deletes the oldest rows of `table` whose `column` is before an instant; rows without a value there stay.
#[derive(Clone, Copy)]
struct Prune {
    table: &'static str,
    column: &'static str,
    before: Timestamp,
    limit: u32,
}

#[async_trait]
impl AsyncWork<u64> for Prune {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<u64, DbErr> {
        let Self {
            table,
            column,
            before,
            limit,
        } = *self;
        let sql = format!(
            "DELETE FROM {table} WHERE {row} IN \
             (SELECT {row} FROM {table} WHERE {column} < ? ORDER BY {column} LIMIT ?)",
            row = unit.backend.row_address()
        );
        let delete = unit.statement(&sql, [micros(before).into(), i64::from(limit).into()]);
        Ok(unit.txn.execute_raw(delete).await?.rows_affected())
    }
}

//! History that has served its time: what messages said goes first, then the messages with their deliveries and attempts.
//! A message that has a job, live or dead, keeps everything.
//!
//! Ids are in the order of time, so what was accepted before an instant is a range of ids. On PostgreSQL history lies in
//! parts of a week each ([`weeks`]), which are dropped whole; what lies in no part is removed in bounded steps, as
//! everything is on SQLite.

pub(crate) mod weeks;

use std::collections::HashMap;

use async_trait::async_trait;
use posthaste_domain::clock::Timestamp;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Value};
use uuid::Uuid;

use crate::writer::{AsyncWork, Unit};

/// Most bytes of attachments that one transaction removes.
const ATTACHED: i64 = 64 * 1024 * 1024;
/// Ids of one statement.
const IDS: usize = 1000;

/// The tables of history, each with the column that holds the message's id; a message's own row comes last.
const TABLES: [(&str, &str); 6] = [
    ("message_tags", "message_id"),
    ("attempts", "message_id"),
    ("deliveries", "message_id"),
    ("attachments", "message_id"),
    ("message_bodies", "message_id"),
    ("messages", "id"),
];

/// The lowest id of a message that is accepted at `at` (RFC 9562 section 5.7: milliseconds in the upper 48 bits).
pub(crate) fn first_id(at: Timestamp) -> Uuid {
    let ms = u128::try_from(at.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(ms << 80)
}

/// Whether the message `id`, an expression, has no job.
fn is_over(id: &str) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = {id}) \
         AND NOT EXISTS (SELECT 1 FROM dead_jobs WHERE dead_jobs.id = {id})"
    )
}

/// Removes rows of a bounded number of messages.
pub(crate) struct PruneHistory {
    /// The table that says which, and those from which they are removed.
    from: usize,
    tables: &'static [(&'static str, &'static str)],
    before: Uuid,
    limit: u32,
}

impl PruneHistory {
    /// Of what messages say.
    pub(crate) fn bodies(before: Timestamp, limit: u32) -> Self {
        Self {
            from: 1,
            tables: &TABLES[3..5],
            before: first_id(before),
            limit,
        }
    }

    /// Of messages with all that belongs to them.
    pub(crate) fn messages(before: Timestamp, limit: u32) -> Self {
        Self {
            from: 5,
            tables: &TABLES,
            before: first_id(before),
            limit,
        }
    }
}

#[async_trait]
impl AsyncWork<u64> for PruneHistory {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<u64, DbErr> {
        let (table, column) = self.tables[self.from];
        let table = outside_weeks(unit.backend, table);
        let over = is_over(&format!("{table}.{column}"));
        let asked = format!(
            "SELECT {column} FROM {table} WHERE {column} < ? AND {over} ORDER BY {column} LIMIT ?"
        );
        let values = [Value::from(self.before), i64::from(self.limit).into()];
        let found = unit
            .txn
            .query_all_raw(unit.statement(&asked, values))
            .await?;
        let ids = found
            .iter()
            .map(|row| row.try_get_by_index::<Uuid>(0).map(Value::from))
            .collect::<Result<Vec<_>, _>>()?;
        let ids = self.not_too_large(unit, ids).await?;
        for ids in ids.chunks(IDS) {
            let these = vec!["?"; ids.len()].join(", ");
            for (table, column) in self.tables {
                let table = outside_weeks(unit.backend, table);
                let delete = format!("DELETE FROM {table} WHERE {column} IN ({these})");
                let delete = unit.statement(&delete, ids.iter().cloned());
                unit.txn.execute_raw(delete).await?;
            }
        }
        Ok(ids.len() as u64)
    }
}

impl PruneHistory {
    /// The first of these messages: as many as hold so much that it can be removed without keeping the writer for long. (A
    /// file is removed page by page.)
    async fn not_too_large(
        &self,
        unit: &Unit<'_>,
        mut ids: Vec<Value>,
    ) -> Result<Vec<Value>, DbErr> {
        let table = outside_weeks(unit.backend, "attachments");
        let mut most = ATTACHED;
        let mut sizes = HashMap::new();
        for ids in ids.chunks(IDS) {
            let asked = format!(
                "SELECT message_id, CAST(sum(length(content)) AS BIGINT) FROM {table} \
                 WHERE message_id IN ({}) GROUP BY message_id",
                vec!["?"; ids.len()].join(", ")
            );
            let asked = unit.statement(&asked, ids.iter().cloned());
            for row in unit.txn.query_all_raw(asked).await? {
                let id: Uuid = row.try_get_by_index(0)?;
                sizes.insert(id, row.try_get_by_index::<i64>(1)?);
            }
        }
        let mut kept = 0;
        // At least one, however large.
        ids.retain(|id| {
            let size = match id {
                Value::Uuid(Some(id)) => sizes.get(id).copied().unwrap_or_default(),
                _ => 0,
            };
            most -= size;
            kept += 1;
            kept == 1 || most >= 0
        });
        Ok(ids)
    }
}

/// The table that holds what lies in no week; on SQLite that is everything.
fn outside_weeks(backend: DbBackend, table: &str) -> String {
    match backend {
        // Tags are few, and lie in no weeks.
        DbBackend::Postgres if table != "message_tags" => format!("{table}_default"),
        _ => table.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use posthaste_domain::{
        clock::{Clock, SystemClock},
        id::MessageId,
    };

    use super::*;

    #[test]
    fn ids_from_an_instant_on_are_not_below_its_first() {
        let now = SystemClock.now();
        let id = MessageId::new(now).as_uuid();
        let ms = chrono::TimeDelta::milliseconds(1);
        assert!(first_id(now) < id && id < first_id(now + ms));
        assert!(first_id(now - ms) < first_id(now));
    }
}

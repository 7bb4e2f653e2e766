//! The parts of history on PostgreSQL: a table for each week, from Monday to Monday (UTC), made ahead and dropped whole. To
//! delete the rows of a week one by one would cost as much as to write them, and leave their room to be cleaned.
//!
//! What lies in no week, because none was made in time or because a job still needs it, is in the part `*_default`; so
//! nothing is ever refused. The locks that this takes are short, and not waited for long: what cannot be had is done the
//! next time.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta};
use posthaste_domain::{clock::Timestamp, stores::Arranged};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, TransactionTrait,
};
use tracing::{info, warn};
use uuid::Uuid;

use super::first_id;
use crate::{connect::Postgres, sql::statement};

/// Longest wait for a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Weeks that are there ahead of time, the present one included.
const AHEAD: i32 = 5;
/// A lock is waited for no longer, for everybody else waits behind it.
const LOCK: &str = "SET LOCAL lock_timeout = '2s'";
/// One node at a time; any number but that of the migrations.
const ALONE: &str = "SELECT pg_try_advisory_xact_lock(8026)";
/// In the order in which everybody else locks them.
const TABLES: [(&str, &str); 5] = [
    ("attachments", "message_id"),
    ("messages", "id"),
    ("message_bodies", "message_id"),
    ("deliveries", "message_id"),
    ("attempts", "message_id"),
];

/// What is still wanted: what was accepted from these instants on.
#[derive(Debug)]
pub(crate) struct Keep {
    pub(crate) bodies: Timestamp,
    pub(crate) messages: Timestamp,
}

/// A week, by its Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Week(NaiveDate);

impl Week {
    fn of(at: Timestamp) -> Self {
        let day = at.date_naive();
        Self(day.week(chrono::Weekday::Mon).first_day())
    }

    /// By the end of the name of a part, as [`Self::part`] gives it.
    fn read(part: &str) -> Option<Self> {
        let (_, day) = part.rsplit_once("_w")?;
        NaiveDate::parse_from_str(day, "%Y%m%d").ok().map(Self)
    }

    fn part(self, table: &str) -> String {
        format!("{table}_w{}", self.0.format("%Y%m%d"))
    }

    fn plus(self, weeks: i32) -> Self {
        Self(self.0 + TimeDelta::weeks(weeks.into()))
    }

    fn begin(self) -> Timestamp {
        DateTime::from_naive_utc_and_offset(self.0.into(), chrono::Utc)
    }

    fn end(self) -> Timestamp {
        self.plus(1).begin()
    }

    /// The first id of the week, and of the next one.
    fn ids(self) -> (Uuid, Uuid) {
        (first_id(self.begin()), first_id(self.end()))
    }
}

/// Makes the parts of the weeks to come and drops those whose time is over.
pub(crate) async fn arrange(
    postgres: &Postgres,
    now: Timestamp,
    keep: &Keep,
) -> Result<Arranged, DbErr> {
    let connection = postgres.single(PATIENCE).await?;
    let mut arranged = Arranged::default();
    let there = parts(&connection).await?;
    for week in (0..AHEAD).map(|ahead| Week::of(now).plus(ahead)) {
        if !there.iter().any(|(_, there)| *there == week) && made(&connection, week).await? {
            arranged.made += 1;
        }
    }
    for (part, week) in there {
        let table = TABLES
            .iter()
            .position(|(table, _)| week.part(table) == part);
        let wanted_from = match table {
            // Of attachments and bodies.
            Some(0 | 2) => keep.bodies.max(keep.messages),
            Some(_) => keep.messages,
            None => continue,
        };
        if week.end() <= wanted_from {
            let (table, column) = TABLES[table.unwrap_or_default()];
            if dropped(&connection, table, column, week).await? {
                info!(part, "dropped a week of history");
                arranged.dropped += 1;
            }
        }
    }
    // A worker may report an attempt of a message that is long gone.
    let late = "DELETE FROM attempts_default WHERE message_id < ? \
         AND NOT EXISTS (SELECT 1 FROM messages WHERE messages.id = attempts_default.message_id)";
    let late = statement(DbBackend::Postgres, late, [first_id(keep.messages).into()]);
    connection.execute_raw(late).await?;
    let tags = "DELETE FROM message_tags WHERE message_id < ? \
         AND NOT EXISTS (SELECT 1 FROM messages WHERE messages.id = message_tags.message_id)";
    let tags = statement(DbBackend::Postgres, tags, [first_id(keep.messages).into()]);
    connection.execute_raw(tags).await?;
    connection.close().await?;
    Ok(arranged)
}

/// The parts that are weeks, oldest first.
async fn parts(connection: &DatabaseConnection) -> Result<Vec<(String, Week)>, DbErr> {
    let asked = "SELECT part.relname FROM pg_inherits \
         JOIN pg_class part ON part.oid = inhrelid JOIN pg_class whole ON whole.oid = inhparent \
         WHERE whole.relnamespace = current_schema()::regnamespace AND whole.relname IN \
         ('attachments', 'messages', 'message_bodies', 'deliveries', 'attempts') ORDER BY 1";
    let rows = connection
        .query_all_raw(statement(DbBackend::Postgres, asked, []))
        .await?;
    let mut parts = Vec::new();
    for row in &rows {
        let name: String = row.try_get_by_index(0)?;
        if let Some(week) = Week::read(&name) {
            parts.push((name, week));
        }
    }
    parts.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    Ok(parts)
}

/// A transaction in which this node alone arranges; none while another one does.
async fn alone(connection: &DatabaseConnection) -> Result<Option<DatabaseTransaction>, DbErr> {
    let txn = connection.begin().await?;
    txn.execute_unprepared(LOCK).await?;
    let asked = statement(DbBackend::Postgres, ALONE, []);
    let row = txn.query_one_raw(asked).await?;
    let alone = row.map_or(Ok(false), |row| row.try_get_by_index(0))?;
    Ok(alone.then_some(txn))
}

/// Makes the parts of a week, of all tables or of none; `false` if that is not possible now.
async fn made(connection: &DatabaseConnection, week: Week) -> Result<bool, DbErr> {
    let Some(txn) = alone(connection).await? else {
        return Ok(false);
    };
    let (first, next) = week.ids();
    for (table, column) in TABLES {
        // What came before its week was made stays where it is.
        let late =
            format!("SELECT 1 FROM {table}_default WHERE {column} >= ? AND {column} < ? LIMIT 1");
        let late = statement(DbBackend::Postgres, &late, [first.into(), next.into()]);
        if txn.query_one_raw(late).await?.is_some() {
            return Ok(false);
        }
    }
    for (table, _) in TABLES {
        let make = format!(
            "CREATE TABLE IF NOT EXISTS {} PARTITION OF {table} FOR VALUES FROM ('{first}') TO ('{next}')",
            week.part(table)
        );
        if let Err(error) = txn.execute_unprepared(&make).await {
            return not_now(error, &week.part(table));
        }
    }
    txn.commit().await?;
    Ok(true)
}

/// Drops the part of a week. What a job still needs moves to the part without a week first.
async fn dropped(
    connection: &DatabaseConnection,
    table: &str,
    column: &str,
    week: Week,
) -> Result<bool, DbErr> {
    let Some(txn) = alone(connection).await? else {
        return Ok(false);
    };
    let part = week.part(table);
    // From here on nobody reads or writes the table; so what is found to have a job has it until the commit.
    let detach = format!("ALTER TABLE {table} DETACH PARTITION {part}");
    if let Err(error) = txn.execute_unprepared(&detach).await {
        return not_now(error, &part);
    }
    let keep = format!(
        "INSERT INTO {table} SELECT * FROM {part} WHERE {column} IN \
         (SELECT id FROM jobs UNION ALL SELECT id FROM dead_jobs)"
    );
    txn.execute_unprepared(&keep).await?;
    txn.execute_unprepared(&format!("DROP TABLE {part}"))
        .await?;
    txn.commit().await?;
    Ok(true)
}

/// A table that is in use is left for the next time.
fn not_now(error: DbErr, part: &str) -> Result<bool, DbErr> {
    /// `lock_not_available` (PostgreSQL manual, appendix A).
    const LOCKED: &str = "55P03";
    let code = match &error {
        DbErr::Exec(sea_orm::RuntimeErr::SqlxError(error)) => {
            error.as_database_error().and_then(|error| error.code())
        }
        _ => None,
    };
    if code.as_deref() == Some(LOCKED) {
        warn!(part, "history is in use; it is arranged the next time");
        return Ok(false);
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_goes_from_monday_to_monday() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let check = |text: &str, monday: &str| {
            let week = Week::of(at(text));
            assert_eq!(week.part("messages"), format!("messages_w{monday}"));
            assert_eq!(Week::read(&week.part("message_bodies")), Some(week));
            assert!(week.begin() <= at(text) && at(text) < week.end());
        };
        check("2026-11-25T12:00:00Z", "20261123");
        check("2026-11-23T00:00:00Z", "20261123");
        check("2026-11-22T23:59:59.999Z", "20261116");
        check("2027-01-01T00:00:00Z", "20261228");
        for part in ["messages_default", "messages", "messages_w2026", "x_wx"] {
            assert_eq!(Week::read(part), None, "{part}");
        }
        let week = Week::of(at("2026-11-25T12:00:00Z"));
        assert_eq!(
            week.ids().1,
            week.plus(1).ids().0,
            "no id lies between two weeks"
        );
    }
}

//! What a node sees of the PostgreSQL database it shares: how far the clocks are apart, and whether a session keeps old rows
//! in place. Both are told to people, in the log and by [`Finding`]s; nothing here is ever a reason to act (I21).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;
use posthaste_domain::{
    clock::{Clock, later},
    stores::Finding,
};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::{connect::Connector, sql::statement};

/// How often the database is looked at.
const EVERY: Duration = Duration::from_secs(30);
/// Clocks further apart than this are told of.
const MOST_SKEW: Duration = Duration::from_secs(2);
/// The answer that took the least time of so many tells the skew: its middle is the best known.
const SAMPLES: usize = 3;

/// What was last seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Condition(Arc<Mutex<Vec<Finding>>>);

/// What it takes to look.
pub(crate) struct Watch {
    pub(crate) connector: Connector,
    pub(crate) reader: DatabaseConnection,
    pub(crate) clock: Arc<dyn Clock>,
    /// From when on a session that keeps old rows in place is told of.
    pub(crate) old_snapshot: Duration,
}

impl Condition {
    /// What was last seen; nothing before the first look, and nothing on SQLite.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks again and again, until dropped.
    pub(crate) async fn keep(self, watch: Watch) {
        let (mut clocks_agree, mut sessions) = (true, Sessions::default());
        loop {
            match watch.look(&mut sessions).await {
                Ok((skew, oldest)) => {
                    let found = vec![
                        told_skew(skew, &mut clocks_agree),
                        sessions.told(oldest, watch.old_snapshot),
                    ];
                    *self.0.lock().unwrap_or_else(PoisonError::into_inner) = found;
                }
                // Whoever works with the database says so loudly enough.
                Err(error) => debug!(%error, "the database was not looked at"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

impl Watch {
    async fn look(&self, sessions: &mut Sessions) -> Result<(TimeDelta, Option<Holder>), DbErr> {
        let skew = self.skew().await?;
        let holders = holders(&self.reader).await?;
        Ok((skew, sessions.oldest(holders, Instant::now())))
    }

    /// How far the database's clock is ahead of this node's: what it says, beside the middle of the time in which it was
    /// asked.
    async fn skew(&self) -> Result<TimeDelta, DbErr> {
        let mut best: Option<(Duration, TimeDelta)> = None;
        for _ in 0..SAMPLES {
            let (ours, asked) = (self.clock.now(), Instant::now());
            let theirs = self.connector.now(&self.reader, &*self.clock).await?;
            let took = asked.elapsed();
            let skew = theirs - later(ours, took / 2);
            if best.is_none_or(|(least, _)| took < least) {
                best = Some((took, skew));
            }
        }
        Ok(best.map_or(TimeDelta::zero(), |(_, skew)| skew))
    }
}

fn told_skew(skew: TimeDelta, agreed: &mut bool) -> Finding {
    let sound = skew.abs() <= TimeDelta::from_std(MOST_SKEW).unwrap_or(TimeDelta::MAX);
    let skew_ms = skew.num_milliseconds();
    if !sound && *agreed {
        warn!(
            skew_ms,
            "the clocks of this node and of the database are apart; stored times are the database's"
        );
    } else if sound && !*agreed {
        info!(
            skew_ms,
            "the clocks of this node and of the database agree again"
        );
    }
    *agreed = sound;
    Finding {
        name: "clock_skew",
        sound,
        seconds: seconds(skew),
    }
}

fn seconds(time: TimeDelta) -> f64 {
    time.as_seconds_f64()
}

/// A session behind whose transaction no row can be removed.
#[derive(Debug, Clone, PartialEq)]
struct Holder {
    pid: i32,
    application: String,
    /// The transaction, by what it keeps.
    keeps: String,
    age: Duration,
}

/// Every user may see which sessions hold a snapshot or a transaction id; when they began is shown only to their own role,
/// so this process's own watch counts beside it.
async fn holders(reader: &DatabaseConnection) -> Result<Vec<Holder>, DbErr> {
    let asked = "SELECT pid, coalesce(application_name, ''), \
         concat_ws(':', backend_xid::text, backend_xmin::text), \
         greatest(0, coalesce(extract(epoch FROM clock_timestamp() - xact_start), 0))::float8 \
         FROM pg_stat_activity \
         WHERE (datname = current_database() OR datname IS NULL) AND pid <> pg_backend_pid() \
         AND backend_type <> 'autovacuum worker' AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL)";
    let rows = reader
        .query_all_raw(statement(DbBackend::Postgres, asked, []))
        .await?;
    let holder = |row: &sea_orm::QueryResult| {
        Ok(Holder {
            pid: row.try_get_by_index(0)?,
            application: row.try_get_by_index(1)?,
            keeps: row.try_get_by_index(2)?,
            age: Duration::try_from_secs_f64(row.try_get_by_index(3)?).unwrap_or_default(),
        })
    };
    rows.iter().map(holder).collect()
}

/// The sessions that hold something, since when each holds the same, and whether one was told of.
#[derive(Debug, Default)]
struct Sessions {
    seen: HashMap<(i32, String), Instant>,
    told_of: Option<i32>,
}

impl Sessions {
    /// The one that has held on for the longest, by its own begin or by this process's watch.
    fn oldest(&mut self, holders: Vec<Holder>, now: Instant) -> Option<Holder> {
        let before = std::mem::take(&mut self.seen);
        let aged = holders.into_iter().map(|mut holder| {
            let which = (holder.pid, holder.keeps.clone());
            let since = before.get(&which).copied().unwrap_or(now);
            self.seen.insert(which, since);
            holder.age = holder.age.max(now.saturating_duration_since(since));
            holder
        });
        aged.max_by_key(|holder| holder.age)
    }

    fn told(&mut self, oldest: Option<Holder>, limit: Duration) -> Finding {
        let age = oldest.as_ref().map(|holder| holder.age).unwrap_or_default();
        let old = oldest.filter(|holder| holder.age >= limit);
        match (&old, self.told_of) {
            (Some(holder), told_of) if told_of != Some(holder.pid) => {
                warn!(
                    pid = holder.pid,
                    application = holder.application,
                    age_s = age.as_secs(),
                    "a session keeps old rows from being removed, which slows the queue down"
                );
            }
            (None, Some(_)) => info!("no session keeps old rows from being removed any more"),
            (Some(_) | None, _) => {}
        }
        self.told_of = old.as_ref().map(|holder| holder.pid);
        Finding {
            name: "old_snapshot",
            sound: old.is_none(),
            seconds: age.as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn holder(pid: i32, keeps: &str, age: u32) -> Holder {
        Holder {
            pid,
            application: "psql".to_owned(),
            keeps: keeps.to_owned(),
            age: SECOND * age,
        }
    }

    #[test]
    fn a_session_ages_by_its_own_begin_or_by_our_watch() {
        let (mut sessions, began) = (Sessions::default(), Instant::now());
        let mut at = |second: u32, holders| {
            let oldest = sessions.oldest(holders, began + SECOND * second);
            oldest.map(|holder| (holder.pid, holder.age.as_secs()))
        };
        assert_eq!(at(0, vec![]), None);
        assert_eq!(
            at(10, vec![holder(1, ":7", 0), holder(2, ":7", 4)]),
            Some((2, 4))
        );
        // Whose begin is hidden is known by what was seen.
        assert_eq!(
            at(40, vec![holder(1, ":7", 0), holder(2, ":9", 4)]),
            Some((1, 30))
        );
        // Another transaction of the same session is another one.
        assert_eq!(at(70, vec![holder(1, ":8", 0)]), Some((1, 0)));
    }

    #[test]
    fn findings_are_sound_up_to_their_limits() {
        let mut agreed = true;
        let mut skew = |ms| told_skew(TimeDelta::milliseconds(ms), &mut agreed);
        assert!(skew(2000).sound && skew(-2000).sound);
        assert!(!skew(2001).sound && !skew(-2001).sound);
        assert!((skew(-2500).seconds + 2.5).abs() < 1e-9);
        let mut sessions = Sessions::default();
        let mut old = |age| {
            sessions
                .told(Some(holder(1, ":7", age)), SECOND * 300)
                .sound
        };
        assert!(old(299) && !old(300));
        assert!(sessions.told(None, SECOND * 300).sound);
    }
}

//! Judging the other nodes on PostgreSQL. A node is dead when its counter has stood still for seven seconds of the
//! judge's own monotonic time; no stored time takes part, so no clock can kill a node.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use posthaste_queue::{QueueError, Swept, pulse::DEAD_AFTER};
use sea_orm::{ConnectionTrait, DbErr};
use tokio::time::Instant;
use tracing::warn;
use uuid::Uuid;

use crate::{
    Store,
    convert::micros,
    queue::{
        statements::{crashed, given_back, quarantine},
        unavailable,
    },
    sql::{ONE, statement},
    writer::{AsyncWork, Unit},
};

/// Looks that lie further apart than this say nothing together: the judge itself may have stood still between them, or
/// the database been away. It watches anew then.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// Most jobs that are taken back in one step.
const STEP: i64 = 1000;

/// What one process has seen of the beats of all nodes.
#[derive(Debug, Default)]
pub(crate) struct Observations {
    looked: Option<Instant>,
    seen: HashMap<Uuid, Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    beat: i64,
    since: Instant,
}

impl Observations {
    /// Takes note of the live nodes and their counters, read at `now`, and says which have stood still for too long, with
    /// the counter at which they did.
    fn observe(&mut self, nodes: &[(Uuid, i64)], now: Instant) -> Vec<(Uuid, i64)> {
        let continuous = self
            .looked
            .is_some_and(|looked| now.saturating_duration_since(looked) <= BETWEEN_LOOKS);
        self.looked = Some(now);
        let before = std::mem::take(&mut self.seen);
        let note = |(node, beat): &(Uuid, i64)| {
            let stood = before
                .get(node)
                .filter(|seen| continuous && seen.beat == *beat);
            let since = stood.map_or(now, |seen| seen.since);
            (*node, Seen { beat: *beat, since })
        };
        self.seen = nodes.iter().map(note).collect();
        let dead = self
            .seen
            .iter()
            .filter(|(_, seen)| now.saturating_duration_since(seen.since) >= DEAD_AFTER);
        dead.map(|(node, seen)| (*node, seen.beat)).collect()
    }
}

impl Store {
    /// One look at the other nodes. On SQLite there are none.
    pub(crate) async fn sweep_nodes(&self) -> Result<Swept, QueueError> {
        if self.backend != sea_orm::DbBackend::Postgres {
            return Ok(Swept::default());
        }
        let nodes = self.live_nodes().await.map_err(unavailable)?;
        let dead = self
            .sweeping
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .observe(&nodes, Instant::now());
        let mut swept = Swept::default();
        for (node, beat) in dead {
            if let Some(jobs) = self.writer.write(Death { node, beat }).await? {
                warn!(node = %node, jobs, "a node is dead: it has not beaten for {} s", DEAD_AFTER.as_secs());
                swept.nodes += 1;
                swept.jobs += jobs;
            }
        }
        if self.any_orphan().await.map_err(unavailable)? {
            swept.jobs += self.writer.write(Orphans).await?;
        }
        Ok(swept)
    }

    async fn live_nodes(&self) -> Result<Vec<(Uuid, i64)>, DbErr> {
        let asked = "SELECT boot_id, beat FROM nodes WHERE left_at IS NULL";
        let rows = self
            .reader
            .query_all_raw(statement(self.backend, asked, []));
        let node =
            |row: &sea_orm::QueryResult| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
        rows.await?.iter().map(node).collect()
    }

    async fn any_orphan(&self) -> Result<bool, DbErr> {
        let asked = format!("SELECT 1 FROM jobs WHERE {ORPHANED} LIMIT ?");
        let found = statement(self.backend, &asked, ONE);
        Ok(self.reader.query_one_raw(found).await?.is_some())
    }
}

/// Leases that no live node holds.
const ORPHANED: &str = "state = 'leased' AND NOT EXISTS \
     (SELECT 1 FROM nodes WHERE nodes.boot_id = jobs.boot_id AND nodes.left_at IS NULL)";

/// The death of a node, if its counter is still the one that was seen: of two judges one kills, and a beat that comes
/// between keeps it alive (I3).
struct Death {
    node: Uuid,
    beat: i64,
}

#[async_trait]
impl AsyncWork<Option<u64>> for Death {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Option<u64>, DbErr> {
        let kill = unit.statement(
            "UPDATE nodes SET left_at = ? WHERE boot_id = ? AND beat = ? AND left_at IS NULL",
            [micros(unit.now).into(), self.node.into(), self.beat.into()],
        );
        if unit.txn.execute_raw(kill).await?.rows_affected() == 0 {
            return Ok(None);
        }
        let free = format!(
            "UPDATE jobs SET {} WHERE state = 'leased' AND boot_id = ?",
            crashed(unit.backend)
        );
        let free = unit.statement(&free, [self.node.into()]);
        let freed = unit.txn.execute_raw(free).await?.rows_affected();
        while quarantine(unit.txn, unit.backend, micros(unit.now)).await? > 0 {}
        Ok(Some(freed))
    }
}

/// Claims of a dead node that were committed after its death (I4): no crash, for the node lets nothing out any more.
struct Orphans;

#[async_trait]
impl AsyncWork<u64> for Orphans {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<u64, DbErr> {
        let free = format!(
            "UPDATE jobs SET {} \
             WHERE id IN (SELECT id FROM jobs WHERE {ORPHANED} ORDER BY id LIMIT ?) AND {ORPHANED}",
            given_back(unit.backend)
        );
        let free = unit.statement(&free, [STEP.into()]);
        Ok(unit.txn.execute_raw(free).await?.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: Uuid = Uuid::from_u128(1);

    /// Looks at a counter once a second and says at which second the node was found dead.
    fn dies_at(
        beats: impl Fn(u64) -> Option<i64>,
        seconds: impl Iterator<Item = u64>,
    ) -> Option<u64> {
        let (mut observations, began) = (Observations::default(), Instant::now());
        for second in seconds {
            let nodes: Vec<_> = beats(second).map(|beat| (NODE, beat)).into_iter().collect();
            let now = began + Duration::from_secs(second);
            if !observations.observe(&nodes, now).is_empty() {
                return Some(second);
            }
        }
        None
    }

    /// I1.
    #[test]
    fn a_node_is_dead_when_its_counter_has_stood_still_for_seven_seconds() {
        let steady = |second: u64| i64::try_from(second).ok();
        assert_eq!(dies_at(steady, 0..1000), None);
        assert_eq!(dies_at(|second| steady(second.min(10)), 0..1000), Some(17));
        // A slow one that beats every six seconds lives.
        assert_eq!(dies_at(|second| steady(second / 6), 0..1000), None);
        // A counter that goes back is another counter: it is watched anew.
        assert_eq!(
            dies_at(|second| steady(100 - second.min(5)), 0..1000),
            Some(12)
        );
    }

    /// I1. After a start, an outage or a pause of its own the judge watches for seven seconds anew.
    #[test]
    fn looks_that_lie_far_apart_say_nothing_together() {
        let dead = |_| Some(7);
        assert_eq!(dies_at(dead, (0..1000).step_by(3)), None);
        assert_eq!(dies_at(dead, (0..6).chain(60..100)), Some(67));
    }
}

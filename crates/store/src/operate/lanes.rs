//! Lanes as they stand, and the switch of each.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use posthaste_queue::{ControlVersion, Lane, operate::LaneStatus};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult};

use crate::{
    Store,
    convert::{lane, micros},
    sql::statement,
    writer::{AsyncWork, Unit},
};

pub(super) async fn all(store: &Store) -> Result<Vec<LaneStatus>, DbErr> {
    let now = store.connector.now(&store.reader, &*store.clock).await?;
    let mut lanes: BTreeMap<String, LaneStatus> = BTreeMap::new();
    let known = statement(store.backend, "SELECT lane, paused FROM lanes", []);
    for row in store.reader.query_all_raw(known).await? {
        let name: String = row.try_get_by_index(0)?;
        entry(&mut lanes, name)?.paused = row.try_get_by_index(1)?;
    }
    let counted = statement(
        store.backend,
        "SELECT lane, state, count(*), min(created_at) FROM jobs GROUP BY lane, state",
        [],
    );
    for row in store.reader.query_all_raw(counted).await? {
        let lane = entry(&mut lanes, row.try_get_by_index(0)?)?;
        let state: String = row.try_get_by_index(1)?;
        let count: i64 = row.try_get_by_index(2)?;
        let count = u64::try_from(count).unwrap_or(0);
        match state.as_str() {
            "ready" => lane.ready = count,
            "scheduled" => lane.scheduled = count,
            "leased" => lane.leased = count,
            _ => lane.suspect = count,
        }
        let oldest: i64 = row.try_get_by_index(3)?;
        let age = u64::try_from(micros(now) - oldest).unwrap_or_default();
        lane.oldest = lane.oldest.max(Some(Duration::from_micros(age)));
    }
    Ok(lanes.into_values().collect())
}

fn entry(lanes: &mut BTreeMap<String, LaneStatus>, name: String) -> Result<&mut LaneStatus, DbErr> {
    let lane = lane(&name)?;
    Ok(lanes.entry(name).or_insert(LaneStatus::idle(lane)))
}

/// What operators have switched: the version, and the lanes that are paused by it.
pub(crate) async fn switched(
    connection: &impl ConnectionTrait,
    backend: DbBackend,
) -> Result<(ControlVersion, Vec<Lane>), DbErr> {
    let version = statement(backend, "SELECT version FROM controls", []);
    let version = connection.query_one_raw(version).await?;
    let version = version.map_or(Ok(0), |row| row.try_get_by_index(0))?;
    // Read second: it may only be newer than its version, which is then applied again.
    let paused = statement(backend, "SELECT lane FROM lanes WHERE paused", []);
    let paused_lane = |row: &QueryResult| lane(&row.try_get_by_index::<String>(0)?);
    let lanes = connection.query_all_raw(paused).await?;
    let lanes = lanes.iter().map(paused_lane).collect::<Result<_, _>>()?;
    Ok((ControlVersion(version), lanes))
}

/// Pauses or resumes a lane; gives what holds then.
pub(super) struct Switch {
    pub(super) lane: Lane,
    pub(super) paused: bool,
}

#[async_trait]
impl AsyncWork<(ControlVersion, Vec<Lane>)> for Switch {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<(ControlVersion, Vec<Lane>), DbErr> {
        // The version first: its row puts two operators in order.
        let raise = unit.statement("UPDATE controls SET version = version + 1", []);
        unit.txn.execute_raw(raise).await?;
        let switch = unit.statement(
            "INSERT INTO lanes (lane, paused) VALUES (?, ?) \
             ON CONFLICT (lane) DO UPDATE SET paused = excluded.paused",
            [self.lane.as_str().into(), self.paused.into()],
        );
        unit.txn.execute_raw(switch).await?;
        switched(unit.txn, unit.backend).await
    }
}

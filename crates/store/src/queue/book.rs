//! The ranks of all lanes as the writer keeps them: counted in memory, and put down in `lanes` once a second for the
//! other nodes and the next start.

use std::{collections::HashMap, time::Duration};

use posthaste_queue::{Lane, Rank, Ranks, Turn};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Value};
use tokio::time::Instant;

use crate::{
    convert::lane,
    sql::{Words, rows, statement},
};

/// How old may be what is known of other nodes, and what they know of this one.
const FRESH: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct RankBook {
    ranks: Ranks,
    read: Option<Instant>,
    written: Option<Instant>,
    /// Lanes that gave out more than `lanes` says.
    ahead: HashMap<Lane, Rank>,
}

impl RankBook {
    /// Reads what other nodes have put down, once a second, and at first also what waits. To be called before
    /// [`Self::enter`], in the transaction in which its answer is used.
    pub(crate) async fn refresh(
        &mut self,
        txn: &DatabaseTransaction,
        backend: DbBackend,
    ) -> Result<(), DbErr> {
        if self.read.is_some_and(|read| read.elapsed() < FRESH) {
            return Ok(());
        }
        if self.read.is_none() {
            let waiting = "SELECT lane, tenant, max(rank) FROM jobs WHERE state = 'ready' GROUP BY lane, tenant";
            for row in txn.query_all_raw(statement(backend, waiting, [])).await? {
                let tenant: String = row.try_get_by_index(1)?;
                let rank = Rank(row.try_get_by_index(2)?);
                self.ranks
                    .waits(&lane(&row.try_get_by_index::<String>(0)?)?, &tenant, rank);
            }
        }
        let reached = statement(backend, "SELECT lane, rank FROM lanes", []);
        for row in txn.query_all_raw(reached).await? {
            let rank = Rank(row.try_get_by_index(1)?);
            self.ranks
                .reach(&lane(&row.try_get_by_index::<String>(0)?)?, rank);
        }
        self.read = Some(Instant::now());
        Ok(())
    }

    /// The rank at which a job of `tenant` becomes ready now.
    pub(crate) fn enter(&mut self, lane: &Lane, tenant: &str, turn: Turn) -> Rank {
        self.ranks.enter(lane, tenant, turn)
    }

    /// The rank of a job that is given out without having waited.
    pub(crate) fn reached(&self, lane: &Lane) -> Rank {
        self.ranks.reached(lane)
    }

    /// A job of this rank is given out.
    pub(crate) fn gave_out(&mut self, lane: &Lane, rank: Rank) {
        if self.ranks.reached(lane) < rank {
            self.ranks.reach(lane, rank);
            self.ahead.insert(lane.clone(), rank);
        }
    }

    /// Puts down what was given out if that was not done in this second.
    pub(crate) async fn put_down_now_and_then(
        &mut self,
        txn: &DatabaseTransaction,
        backend: DbBackend,
    ) -> Result<(), DbErr> {
        if self.written.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(());
        }
        self.put_down(txn, backend).await
    }

    /// Puts down what was given out. Lanes go in order, so that two nodes cannot wait for each other.
    pub(crate) async fn put_down(
        &mut self,
        txn: &DatabaseTransaction,
        backend: DbBackend,
    ) -> Result<(), DbErr> {
        if self.ahead.is_empty() {
            return Ok(());
        }
        let mut ahead: Vec<_> = self.ahead.iter().collect();
        ahead.sort_unstable();
        let values = ahead
            .iter()
            .flat_map(|(lane, rank)| [Value::from(lane.as_str()), Value::from(rank.0)]);
        let sql = format!(
            "INSERT INTO lanes (lane, rank) VALUES {} \
             ON CONFLICT (lane) DO UPDATE SET rank = {}(lanes.rank, excluded.rank)",
            rows(ahead.len(), 2),
            backend.greatest()
        );
        txn.execute_raw(statement(backend, &sql, values.collect::<Vec<_>>()))
            .await?;
        self.written = Some(Instant::now());
        self.ahead.clear();
        Ok(())
    }
}

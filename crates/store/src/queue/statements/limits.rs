//! Limits that hold for all nodes together. A claim locks the row of each lane that has one, counts, and writes down what
//! it spent, all in its own transaction: nothing is leased ahead and nothing is lost, and the row is written once a
//! claim, not once a job.

use std::{collections::HashMap, time::Duration};

use sea_orm::{ConnectionTrait, DbErr, Value};

use super::Wanted;
use crate::{convert::micros, sql::Words, writer::Unit};

/// Up to where the tokens of each locked lane are spent, in microseconds since 1970.
pub(crate) struct Limits(HashMap<String, i64>);

/// How many jobs a claim may take, and of its tokens.
pub(crate) struct Allowance {
    pub(crate) limit: usize,
    /// Jobs that only the rate holds back.
    short_of_tokens: bool,
}

impl Limits {
    /// Locks the lanes of `wanted` that have limits until the transaction ends, in the order of their names.
    pub(crate) async fn lock(unit: &Unit<'_>, wanted: &[Wanted]) -> Result<Self, DbErr> {
        let lanes: Vec<Value> = wanted
            .iter()
            .filter(|wanted| !wanted.shared.is_none())
            .map(|wanted| wanted.lane.as_str().into())
            .collect();
        if lanes.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        let rows = vec!["(?)"; lanes.len()].join(", ");
        let enter = format!("INSERT INTO lanes (lane) VALUES {rows} ON CONFLICT (lane) DO NOTHING");
        let enter = unit.statement(&enter, lanes.clone());
        unit.txn.execute_raw(enter).await?;
        let places = vec!["?"; lanes.len()].join(", ");
        let lock = format!(
            "SELECT lane, spent_until FROM lanes WHERE lane IN ({places}) ORDER BY lane{}",
            unit.backend.for_update()
        );
        let rows = unit.txn.query_all_raw(unit.statement(&lock, lanes)).await?;
        let entry =
            |row: &sea_orm::QueryResult| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
        Ok(Self(rows.iter().map(entry).collect::<Result<_, DbErr>>()?))
    }

    /// What may be claimed of this lane.
    pub(crate) async fn allowance(
        &self,
        unit: &Unit<'_>,
        wanted: &Wanted,
    ) -> Result<Allowance, DbErr> {
        let mut limit = wanted.limit;
        if let Some(most) = wanted.shared.at_once {
            let held = unit.statement(
                "SELECT count(*) FROM jobs WHERE state = 'leased' AND lane = ?",
                [wanted.lane.as_str().into()],
            );
            let row = unit.txn.query_one_raw(held).await?;
            let held: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
            let room = i64::from(most).saturating_sub(held);
            limit = limit.min(usize::try_from(room).unwrap_or(0));
        }
        let tokens = wanted
            .shared
            .rate
            .map(|rate| rate.available(self.spent(wanted), micros(unit.now)));
        Ok(Allowance {
            limit: tokens.map_or(limit, |tokens| tokens.min(limit)),
            short_of_tokens: tokens.is_some_and(|tokens| tokens < limit),
        })
    }

    /// Writes down that `count` jobs start, and says when the next token comes if only the rate holds jobs back.
    pub(crate) async fn spend(
        &mut self,
        unit: &Unit<'_>,
        wanted: &Wanted,
        allowance: &Allowance,
        count: usize,
    ) -> Result<Option<Duration>, DbErr> {
        let Some(rate) = wanted.shared.rate else {
            return Ok(None);
        };
        let now = micros(unit.now);
        if count > 0 {
            let spent = rate.spend(self.spent(wanted), now, count);
            let write = unit.statement(
                "UPDATE lanes SET spent_until = ? WHERE lane = ?",
                [spent.into(), wanted.lane.as_str().into()],
            );
            unit.txn.execute_raw(write).await?;
            self.0.insert(wanted.lane.to_string(), spent);
        }
        let held_back = allowance.short_of_tokens && count == allowance.limit;
        Ok(held_back.then(|| rate.next_in(self.spent(wanted), now)))
    }

    fn spent(&self, wanted: &Wanted) -> i64 {
        self.0.get(wanted.lane.as_str()).copied().unwrap_or(0)
    }
}

//! Ranks: the order in which the ready jobs of a lane are given out.
//!
//! A rank is a counter of its lane, no time, so no clock can bring jobs out of order. A lane has reached the highest rank
//! it has given out; whatever becomes ready enters there or behind. The jobs of one tenant follow each other,
//! `max(reached, the tenant's last + 1)`, so the hundred thousand jobs of one lie behind the single job of another,
//! which enters where the lane stands (start-time fair queueing: Goyal, Vin and Cheng, 1996, with jobs of one size).

use std::collections::HashMap;

use crate::job::Lane;

/// A place in the order of one lane. Jobs of one rank go by their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Rank(pub i64);

/// Whose turn a job takes within its tenant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// A job that runs for the first time.
    First,
    /// A job that was tried before. Its tenant's new jobs do not hold it up, and many of them do not hold up others.
    Again,
}

/// The ranks of all lanes, as far as one process has seen them.
///
/// Several processes that keep a book each give one tenant one share each: still bounded, and nobody waits for a row
/// that everybody writes.
#[derive(Debug, Default)]
pub struct Ranks(HashMap<Lane, LaneRanks>);

#[derive(Debug, Default)]
struct LaneRanks {
    reached: Rank,
    first: Tenants,
    again: Tenants,
}

impl Ranks {
    /// The lane has given out a job of this rank.
    pub fn reach(&mut self, lane: &Lane, rank: Rank) {
        let lane = self.lane(lane);
        lane.reached = lane.reached.max(rank);
    }

    /// A job of this tenant that was not tried yet waits at this rank.
    pub fn waits(&mut self, lane: &Lane, tenant: &str, rank: Rank) {
        let lane = self.lane(lane);
        let last = lane.first.last.entry(tenant.into()).or_default();
        *last = (*last).max(rank);
    }

    /// The highest rank that the lane has given out.
    #[must_use]
    pub fn reached(&self, lane: &Lane) -> Rank {
        self.0
            .get(lane)
            .map(|lane| lane.reached)
            .unwrap_or_default()
    }

    /// The rank at which a job of `tenant` becomes ready now.
    pub fn enter(&mut self, lane: &Lane, tenant: &str, turn: Turn) -> Rank {
        let LaneRanks {
            reached,
            first,
            again,
        } = self.lane(lane);
        match turn {
            Turn::First => first.enter(tenant, *reached),
            Turn::Again => again.enter(tenant, *reached),
        }
    }

    fn lane(&mut self, lane: &Lane) -> &mut LaneRanks {
        self.0.entry(lane.clone()).or_default()
    }
}

/// The last rank of each tenant that has one ahead of its lane.
#[derive(Debug, Default)]
struct Tenants {
    last: HashMap<Box<str>, Rank>,
    pruned_to: usize,
}

impl Tenants {
    /// Tenants that the lane has caught up with are forgotten once there are so many more than the last time.
    const SLACK: usize = 1024;

    fn enter(&mut self, tenant: &str, reached: Rank) -> Rank {
        if self.last.len() > 2 * self.pruned_to + Self::SLACK {
            self.last.retain(|_, last| *last >= reached);
            self.pruned_to = self.last.len();
        }
        if let Some(last) = self.last.get_mut(tenant) {
            *last = Rank(last.0 + 1).max(reached);
            return *last;
        }
        self.last.insert(tenant.into(), reached);
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane() -> Lane {
        "a".parse().unwrap()
    }

    /// I15.
    #[test]
    fn a_tenants_flood_lies_behind_the_next_tenants_single_job() {
        let mut ranks = Ranks::default();
        let flood: Vec<_> = (0..100_000)
            .map(|_| ranks.enter(&lane(), "loud", Turn::First))
            .collect();
        assert!(flood.is_sorted_by(|a, b| a < b));
        for rank in &flood[..50] {
            ranks.reach(&lane(), *rank);
        }
        let single = ranks.enter(&lane(), "quiet", Turn::First);
        assert_eq!(single, flood[49], "it enters where the lane stands");
        assert_eq!(ranks.enter(&lane(), "loud", Turn::First), Rank(100_000));
    }

    /// I13.
    #[test]
    fn nothing_enters_below_what_the_lane_has_reached() {
        let mut ranks = Ranks::default();
        ranks.reach(&lane(), Rank(70));
        ranks.reach(&lane(), Rank(40));
        for (tenant, turn) in [("x", Turn::First), ("x", Turn::Again), ("y", Turn::First)] {
            assert_eq!(ranks.enter(&lane(), tenant, turn), Rank(70));
        }
        ranks.waits(&lane(), "z", Rank(90));
        assert_eq!(ranks.enter(&lane(), "z", Turn::First), Rank(91));
        assert_eq!(
            ranks.enter(&lane(), "z", Turn::Again),
            Rank(70),
            "what was tried before does not wait behind what was not"
        );
    }

    #[test]
    fn tenants_that_the_lane_has_caught_up_with_are_forgotten() {
        let mut ranks = Ranks::default();
        for tenant in 0..10_000 {
            ranks.reach(&lane(), Rank(tenant));
            ranks.enter(&lane(), &tenant.to_string(), Turn::First);
        }
        let kept = ranks.0[&lane()].first.last.len();
        assert!(kept <= 2 * Tenants::SLACK, "{kept}");
    }
}

//! From where a lane is claimed. Behind an old open snapshot PostgreSQL keeps the index entries of rows that are long
//! gone; a claim that begins where the lane stood a while ago does not read them again and again.
//!
//! What enters below that mark (a transaction that was open for long, a job given back by a node that lags) is found by
//! the claim from zero, every two seconds. The mark stays five seconds behind; at ten thousand jobs a second these are
//! fifty thousand dead entries, so while jobs wait that no claim has room for, only four claims a second read them: who
//! stands in a long line anyway is not delayed by that.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use posthaste_queue::{Lane, Rank};
use tokio::time::Instant;

/// How far the mark stays behind.
const BEHIND: Duration = Duration::from_secs(5);
/// How far it stays behind in a lane whose last claim was full, and how often that is claimed from further behind.
const CLOSE: Duration = Duration::from_millis(100);
const STRAGGLERS: Duration = Duration::from_millis(250);
/// How often a lane is claimed from zero.
const FROM_ZERO: Duration = Duration::from_secs(2);
/// The mark moves in steps of this time.
const STEP: Duration = Duration::from_millis(100);

/// The marks of all lanes.
#[derive(Debug, Default)]
pub(crate) struct Marks(HashMap<Lane, Mark>);

#[derive(Debug, Default)]
struct Mark {
    /// What was reached when, oldest first. Of those that are old enough the newest is the mark.
    reached: VecDeque<(Instant, Rank)>,
    last_full: bool,
    from_zero: Option<Instant>,
    from_behind: Option<Instant>,
}

/// Where a claim begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) rank: Rank,
    /// So close that a claim which is not filled must look further behind.
    pub(crate) is_close: bool,
}

impl Marks {
    /// Where to begin at `now`.
    pub(crate) fn floor(&mut self, lane: &Lane, now: Instant) -> Floor {
        let mark = self.0.entry(lane.clone()).or_default();
        let is_due = |last: Option<Instant>, every| {
            last.is_none_or(|at| now.saturating_duration_since(at) >= every)
        };
        if is_due(mark.from_zero, FROM_ZERO) {
            (mark.from_zero, mark.from_behind) = (Some(now), Some(now));
            return Floor {
                rank: Rank::default(),
                is_close: false,
            };
        }
        let is_older = |(at, _): &(Instant, Rank), than| now.saturating_duration_since(*at) >= than;
        while (mark.reached.get(1)).is_some_and(|next| is_older(next, BEHIND)) {
            mark.reached.pop_front();
        }
        let is_close = mark.last_full && !is_due(mark.from_behind, STRAGGLERS);
        let behind = if is_close {
            CLOSE
        } else {
            mark.from_behind = Some(now);
            BEHIND
        };
        let newest = mark.reached.iter().rev().find(|at| is_older(at, behind));
        Floor {
            rank: newest.map(|(_, rank)| *rank).unwrap_or_default(),
            is_close,
        }
    }

    /// The last claim gave out as many jobs as it had room for, or fewer.
    pub(crate) fn claimed(&mut self, lane: &Lane, is_full: bool) {
        self.0.entry(lane.clone()).or_default().last_full = is_full;
    }

    /// A claim at `now` gave out a job of this rank.
    pub(crate) fn reached(&mut self, lane: &Lane, rank: Rank, now: Instant) {
        let reached = &mut self.0.entry(lane.clone()).or_default().reached;
        let news = reached
            .back()
            .is_none_or(|(at, last)| *last < rank && now.saturating_duration_since(*at) >= STEP);
        if news {
            reached.push_back((now, rank));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Claims of a lane that gives out one rank in each step of time.
    fn floors(is_full: bool) -> Vec<(i64, bool)> {
        let lane: Lane = "a".parse().expect("a lane");
        let (mut marks, began) = (Marks::default(), Instant::now());
        let mut floor = |tick: u32| {
            let now = began + STEP * tick;
            let floor = marks.floor(&lane, now);
            marks.reached(&lane, Rank(i64::from(tick)), now);
            marks.claimed(&lane, is_full);
            (floor.rank.0, floor.is_close)
        };
        (0..400).map(&mut floor).collect()
    }

    /// I13, I14.
    #[test]
    fn the_mark_stays_five_seconds_behind_and_every_two_the_lane_is_read_from_zero() {
        for (tick, floor) in (0_i64..).zip(floors(false)) {
            let expected = if tick % 20 == 0 { 0 } else { tick - 50 };
            assert_eq!(floor, (expected.max(0), false), "at {} ms", 100 * tick);
        }
    }

    /// I14, P9.
    #[test]
    fn of_a_lane_with_more_than_is_claimed_only_some_claims_begin_far_behind() {
        for (tick, floor) in (0_i64..).zip(floors(true)) {
            let expected = match tick % 20 {
                0 => (0, false),
                3 | 6 | 9 | 12 | 15 | 18 => (tick - 50, false),
                _ => (tick - 1, true),
            };
            let expected = (expected.0.max(0), expected.1);
            assert_eq!(floor, expected, "at {} ms", 100 * tick);
        }
    }

    #[test]
    fn a_mark_remembers_little() {
        let lane: Lane = "a".parse().unwrap();
        let (mut marks, began) = (Marks::default(), Instant::now());
        for tick in 0..100_000_u32 {
            let now = began + Duration::from_millis(1) * tick;
            marks.floor(&lane, now);
            marks.reached(&lane, Rank(i64::from(tick)), now);
        }
        let kept = marks.0[&lane].reached.len();
        assert!(kept <= 60, "{kept}");
    }
}

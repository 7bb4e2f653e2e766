//! From where a lane is claimed. Behind an old open snapshot PostgreSQL keeps the index entries of rows that are long
//! gone; a claim that begins where the lane stood five seconds ago does not read them again and again.
//!
//! What enters below that mark (a transaction that was open for long, a job given back by a node that lags) is found by
//! the claim from zero, every two seconds.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use posthaste_queue::{Lane, Rank};
use tokio::time::Instant;

/// How far the mark stays behind.
const BEHIND: Duration = Duration::from_secs(5);
/// How often a lane is claimed from zero.
const FROM_ZERO: Duration = Duration::from_secs(2);
/// The mark moves in steps of this time.
const STEP: Duration = Duration::from_millis(100);

/// The marks of all lanes, as one process has claimed from them.
#[derive(Debug, Default)]
pub(crate) struct Marks(HashMap<Lane, Mark>);

#[derive(Debug, Default)]
struct Mark {
    /// What was reached when, oldest first; the first entry is the mark once it is old enough.
    reached: VecDeque<(Instant, Rank)>,
    from_zero: Option<Instant>,
}

impl Marks {
    /// The rank from which to claim at `now`.
    pub(crate) fn floor(&mut self, lane: &Lane, now: Instant) -> Rank {
        let mark = self.0.entry(lane.clone()).or_default();
        if mark
            .from_zero
            .is_none_or(|at| now.saturating_duration_since(at) >= FROM_ZERO)
        {
            mark.from_zero = Some(now);
            return Rank::default();
        }
        let old = |(at, _): &(Instant, Rank)| now.saturating_duration_since(*at) >= BEHIND;
        while mark.reached.get(1).is_some_and(old) {
            mark.reached.pop_front();
        }
        let first = mark.reached.front().filter(|entry| old(entry));
        first.map(|(_, rank)| *rank).unwrap_or_default()
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

    /// I13, I14.
    #[test]
    fn the_mark_stays_five_seconds_behind_and_every_two_the_lane_is_read_from_zero() {
        let lane: Lane = "a".parse().unwrap();
        let (mut marks, began) = (Marks::default(), Instant::now());
        let mut floors = Vec::new();
        for tick in 0..100_u32 {
            let now = began + Duration::from_millis(250) * tick;
            floors.push(marks.floor(&lane, now).0);
            marks.reached(&lane, Rank(i64::from(tick)), now);
        }
        for (tick, floor) in (0_i64..).zip(&floors) {
            let expected = if tick % 8 == 0 { 0 } else { (tick - 20).max(0) };
            assert_eq!(*floor, expected, "at {} ms", 250 * tick);
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

//! The time that a stop may take, shared by all services.
//!
//! Services are stopped one behind the other. Whoever's turn it is may use all that is left, but for a reserve that is kept
//! for each service still to come: one that hangs eats its own time, never theirs. The end of a turn is a grace: a service
//! that is late is forced at its beginning and aborted at its end, so graces are part of the budget, not an addition to it;
//! only where nothing is left of it, a service still has [`SHORTEST_GRACE`].
//!
//! ```text
//! budget  |<----------------- turn of c ----------------->|<- reserve of b ->|<- reserve of a ->|
//! turn    |<------- graceful, up to c's share ------->|<- grace ->|
//! ```

use std::time::Duration;

use tokio::time::Instant;

/// The usual budget of a stop.
pub const DEFAULT_BUDGET: Duration = Duration::from_secs(30);
/// Longest time that all services together may take after a second signal.
pub const FORCED_BUDGET: Duration = Duration::from_secs(5);
/// The longest reserve of one service.
pub const LONGEST_RESERVE: Duration = Duration::from_secs(1);
/// Longest time that a service may take to return once it is forced, before it is aborted.
pub const FORCED_GRACE: Duration = Duration::from_secs(2);

/// Shortest time that a service has to return once it is forced, even where nothing is left of the budget: one that would
/// end at once is not aborted for want of a moment in which to hear of it.
pub const SHORTEST_GRACE: Duration = Duration::from_millis(10);

/// What is left of a budget.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    total: Duration,
    began: Instant,
    reserve: Duration,
}

/// How long one service may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    /// To finish what it has in hand.
    pub(crate) graceful: Duration,
    /// To return after it is forced.
    pub(crate) grace: Duration,
}

impl Budget {
    /// A budget that begins now, for `services` services. At most half of it is reserved.
    pub(crate) fn begin(total: Duration, services: usize) -> Self {
        let services = u32::try_from(services.max(1)).unwrap_or(u32::MAX);
        Self {
            total,
            began: Instant::now(),
            reserve: (total / 2 / services).min(LONGEST_RESERVE),
        }
    }

    /// What remains of it for `services` services after a second signal.
    pub(crate) fn cut(self, services: usize) -> Self {
        Self::begin(self.left().min(FORCED_BUDGET), services)
    }

    /// The turn of the service that is next, while `behind` others are still to come. `share` limits its graceful part.
    pub(crate) fn turn(&self, share: Option<Duration>, behind: usize) -> Turn {
        let behind = u32::try_from(behind).unwrap_or(u32::MAX);
        let whole = self
            .left()
            .saturating_sub(self.reserve.saturating_mul(behind));
        let grace = FORCED_GRACE.min(whole / 2);
        let graceful = whole - grace;
        Turn {
            graceful: share.map_or(graceful, |share| share.min(graceful)),
            grace: grace.max(SHORTEST_GRACE),
        }
    }

    fn left(&self) -> Duration {
        self.total.saturating_sub(self.began.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[track_caller]
    fn check(turn: Turn, graceful: Duration, grace: Duration) {
        assert_eq!(turn, Turn { graceful, grace });
    }

    #[tokio::test(start_paused = true)]
    async fn each_service_still_to_come_keeps_its_reserve() {
        let budget = Budget::begin(30 * SECOND, 4);
        check(budget.turn(None, 3), 25 * SECOND, 2 * SECOND);
        check(budget.turn(Some(5 * SECOND), 3), 5 * SECOND, 2 * SECOND);
        tokio::time::advance(27 * SECOND).await;
        check(budget.turn(None, 2), SECOND / 2, SECOND / 2);
        check(budget.turn(Some(SECOND / 4), 2), SECOND / 4, SECOND / 2);
        tokio::time::advance(10 * SECOND).await;
        check(budget.turn(None, 0), Duration::ZERO, SHORTEST_GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_budget_is_not_reserved_away() {
        let turn = Budget::begin(2 * SECOND, 4).turn(None, 3);
        check(turn, SECOND * 5 / 8, SECOND * 5 / 8);
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_without_an_end_can_be_cut() {
        let budget = Budget::begin(Duration::MAX, 2);
        assert!(budget.turn(None, 1).graceful > 1_000_000 * SECOND);
        check(budget.cut(2).turn(None, 1), 2 * SECOND, 2 * SECOND);
    }
}

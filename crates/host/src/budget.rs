//! The time that a stop may take, shared by all services.
//!
//! Services are stopped one behind the other. Each may use all that is left, up to a share of its own where it has one,
//! but for a reserve that is kept for each service still to come: one that hangs eats its own time, never theirs.

use std::time::Duration;

use tokio::time::Instant;

/// The usual budget of a stop.
pub const DEFAULT_BUDGET: Duration = Duration::from_secs(30);
/// The longest reserve of one service.
pub const LONGEST_RESERVE: Duration = Duration::from_secs(1);
/// How long a service that was forced may take to return before it is aborted.
pub const FORCED_GRACE: Duration = Duration::from_secs(2);

/// What is left of a budget.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    ends: Instant,
    reserve: Duration,
}

impl Budget {
    /// A budget that begins now, for `services` services.
    pub(crate) fn begin(total: Duration, services: usize) -> Self {
        let services = u32::try_from(services.max(1)).unwrap_or(u32::MAX);
        Self {
            ends: Instant::now() + total,
            reserve: (total / 2 / services).min(LONGEST_RESERVE),
        }
    }

    /// How long the service whose turn it is may take, while `behind` others are still to come.
    pub(crate) fn share(&self, own: Option<Duration>, behind: usize) -> Duration {
        let kept = self
            .reserve
            .saturating_mul(u32::try_from(behind).unwrap_or(u32::MAX));
        let left = self
            .ends
            .saturating_duration_since(Instant::now())
            .saturating_sub(kept);
        own.map_or(left, |own| own.min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn each_service_still_to_come_keeps_its_reserve() {
        let budget = Budget::begin(30 * SECOND, 4);
        assert_eq!(budget.share(None, 3), 27 * SECOND);
        assert_eq!(budget.share(Some(5 * SECOND), 3), 5 * SECOND);
        tokio::time::advance(27 * SECOND).await;
        assert_eq!(budget.share(None, 2), SECOND);
        assert_eq!(budget.share(Some(5 * SECOND), 0), 3 * SECOND);
        tokio::time::advance(10 * SECOND).await;
        assert_eq!(budget.share(None, 0), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_budget_is_not_reserved_away() {
        assert_eq!(
            Budget::begin(2 * SECOND, 4).share(None, 3),
            SECOND + SECOND / 4
        );
    }
}

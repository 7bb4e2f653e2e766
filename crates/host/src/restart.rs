//! What becomes of a service that fails, and how one that is rebuilt is held back.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// What the host does when a service returns an error, panics, or ends before it was told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// The host stops, with a non-zero exit code: half a process is worse than none, for nobody restarts it.
    #[default]
    StopHost,
    /// The failure is logged, and the host goes on without the service.
    Ignore,
}

/// How a failing service is built again: after `first`, then twice that, … up to `longest`.
///
/// More than `most` failures `within` a time stop the host. A life after the first that is not ready within the
/// service's start time limit, or cannot be built, counts as a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// The wait after a first failure.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
    /// Most failures within the window.
    pub most: usize,
    /// The window. A service that ran this long without a failure begins anew at `first`.
    pub within: Duration,
}

impl Default for RestartPolicy {
    /// 0.5 s doubling to 30 s; more than 10 failures in 10 minutes stop the host.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            most: 10,
            within: Duration::from_secs(600),
        }
    }
}

/// The failures of one service.
#[derive(Debug)]
pub(crate) struct Failures {
    policy: RestartPolicy,
    recent: VecDeque<Instant>,
}

impl Failures {
    pub(crate) fn new(policy: RestartPolicy) -> Self {
        Self {
            policy,
            recent: VecDeque::new(),
        }
    }

    /// Counts a failure now. The wait before the next start, or `None` if there were too many.
    pub(crate) fn count(&mut self) -> Option<Duration> {
        let now = Instant::now();
        self.recent.push_back(now);
        while self
            .recent
            .front()
            .is_some_and(|at| now - *at > self.policy.within)
        {
            self.recent.pop_front();
        }
        if self.recent.len() > self.policy.most {
            return None;
        }
        let doublings = u32::try_from(self.recent.len() - 1)
            .unwrap_or(u32::MAX)
            .min(31);
        Some(
            self.policy
                .first
                .saturating_mul(1 << doublings)
                .min(self.policy.longest),
        )
    }
}

//! The scheduler as a hosted service. Each task has a loop of its own, so none delays another, and no two runs of one task
//! overlap. A run that fails or panics is logged, and the next one still comes.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::FutureExt;
use posthaste_domain::clock::Clock;
use posthaste_host::{HostedService, Ready, ServiceError, Stop};
use tokio::{task::JoinSet, time::Instant};
use tracing::{Instrument, error, info_span, warn};

use crate::{
    cron::Cron,
    schedule::{First, Schedule},
};

/// Longest sleep before the wall clock is looked at again: it may have been set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Why a run failed.
pub type TaskError = Box<dyn std::error::Error + Send + Sync>;

/// Something that is done again and again.
#[async_trait]
pub trait RecurringTask: Send + Sync + 'static {
    /// Its name in logs.
    fn name(&self) -> &str;

    /// One run. A stop that is requested meanwhile lets it finish; one that is forced drops it at its next await.
    async fn run(&self, stop: Stop) -> Result<(), TaskError>;
}

/// Runs tasks by their schedules.
pub struct Scheduler {
    clock: Arc<dyn Clock>,
    tasks: Vec<(Schedule, Box<dyn RecurringTask>)>,
}

impl Scheduler {
    /// A scheduler without tasks.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            tasks: Vec::new(),
        }
    }

    /// The same with one more task.
    #[must_use]
    pub fn with(mut self, schedule: Schedule, task: impl RecurringTask) -> Self {
        self.tasks.push((schedule, Box::new(task)));
        self
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.tasks.iter().map(|(_, task)| task.name()).collect();
        f.debug_struct("Scheduler")
            .field("tasks", &names)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl HostedService for Scheduler {
    fn name(&self) -> &str {
        "scheduler"
    }

    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<(), ServiceError> {
        let mut loops = JoinSet::new();
        for (schedule, task) in self.tasks {
            let (clock, stop) = (Arc::clone(&self.clock), stop.clone());
            loops.spawn(async move {
                match schedule {
                    Schedule::Every { interval, first } => {
                        every(interval, first, &*task, &stop).await
                    }
                    Schedule::Cron(cron) => by_clock(&cron, &*clock, &*task, &stop).await,
                }
            });
        }
        ready.ready();
        stop.requested().await;
        while loops.join_next().await.is_some() {}
        Ok(())
    }
}

async fn every(interval: Duration, first: First, task: &dyn RecurringTask, stop: &Stop) {
    let mut next = match first {
        First::AtStart => Instant::now(),
        First::AfterInterval => Instant::now() + interval,
    };
    while sleep_until(next, stop).await {
        run(task, stop).await;
        // What was missed while a run took too long is not made up.
        next = (next + interval).max(Instant::now());
    }
}

async fn by_clock(cron: &Cron, clock: &dyn Clock, task: &dyn RecurringTask, stop: &Stop) {
    let mut after = clock.now();
    while let Some(instant) = cron.next_after(after) {
        loop {
            let now = clock.now();
            let Ok(left) = (instant - now).to_std() else {
                break;
            };
            if left.is_zero() {
                break;
            }
            if !sleep_until(Instant::now() + left.min(LONGEST_SLEEP), stop).await {
                return;
            }
        }
        if stop.is_requested() {
            return;
        }
        run(task, stop).await;
        // A clock that was set back does not bring an instant again; one set ahead does not bring all it skipped.
        after = instant.max(clock.now());
    }
    warn!(task = task.name(), "the schedule has no further instant");
}

/// `false` if a stop was requested before the time came.
async fn sleep_until(at: Instant, stop: &Stop) -> bool {
    tokio::select! {
        biased;
        () = stop.requested() => false,
        () = tokio::time::sleep_until(at) => true,
    }
}

async fn run(task: &dyn RecurringTask, stop: &Stop) {
    let span = info_span!("task", task = task.name());
    let running = AssertUnwindSafe(task.run(stop.clone())).catch_unwind();
    let outcome = async {
        tokio::select! {
            biased;
            outcome = running => Some(outcome),
            () = stop.forced() => None,
        }
    };
    match outcome.instrument(span).await {
        Some(Ok(Ok(()))) => {}
        Some(Ok(Err(error))) => {
            error!(
                task = task.name(),
                error = &*error as &dyn std::error::Error,
                "a run failed; the next one comes as planned"
            );
        }
        Some(Err(_panic)) => error!(
            task = task.name(),
            "a run panicked; the next one comes as planned"
        ),
        None => warn!(
            task = task.name(),
            "a run was dropped: the node stops at once"
        ),
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;

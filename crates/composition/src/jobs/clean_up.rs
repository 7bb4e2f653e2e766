//! Removes rows that have served their time, in small steps that do not hold up what is written beside them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::TimeDelta;
use posthaste_domain::{
    clock::{Clock, Steady, Timestamp},
    stores::{Arranged, Housekeeping, StoreError},
};
use posthaste_host::Stop;
use posthaste_scheduler::{RecurringTask, TaskError};
use tracing::{info, warn};

use crate::settings;

/// How long a request for an account mail counts: the window of its limit.
const MAIL_REQUESTS: Duration = Duration::from_secs(3600);
/// A bucket is full again after a day, the time of the slowest rate.
const RATES: Duration = Duration::from_secs(2 * 86_400);

/// The recurring clean-up of tokens, idempotency keys, nodes and history.
#[derive(Debug)]
pub struct CleanUp {
    store: Arc<dyn Housekeeping>,
    clock: Arc<dyn Clock>,
    steady: Steady,
    settings: settings::CleanUp,
}

impl CleanUp {
    /// A clean-up of `store`.
    #[must_use]
    pub fn new(
        store: Arc<dyn Housekeeping>,
        clock: Arc<dyn Clock>,
        settings: settings::CleanUp,
    ) -> Self {
        Self {
            store,
            clock,
            steady: Steady::default(),
            settings,
        }
    }

    /// What messages say, then the messages.
    async fn clean_history(&self, stop: &Stop) -> Result<(), StoreError> {
        let (limit, store) = (self.settings.batch, &self.store);
        let bodies = self.before(self.settings.bodies);
        let messages = self.before(self.settings.messages);
        let arranged = store
            .arrange_history(self.clock.now(), bodies, messages)
            .await?;
        if arranged != Arranged::default() {
            info!(
                made = arranged.made,
                dropped = arranged.dropped,
                "arranged the weeks of history"
            );
        }
        removed(
            "bodies",
            // A step with large attachments ends early.
            in_steps(1, stop, || store.prune_bodies(bodies, limit)).await?,
        );
        removed(
            "messages",
            in_steps(limit, stop, || store.prune_messages(messages, limit)).await?,
        );
        Ok(())
    }

    fn before(&self, kept: Duration) -> Timestamp {
        let kept = TimeDelta::from_std(kept).unwrap_or(TimeDelta::MAX);
        self.clock
            .now()
            .checked_sub_signed(kept)
            .unwrap_or(Timestamp::MIN_UTC)
    }
}

#[async_trait]
impl RecurringTask for CleanUp {
    fn name(&self) -> &str {
        "clean_up"
    }

    async fn run(&self, stop: Stop) -> Result<(), TaskError> {
        if !self.steady.look_at(&*self.clock) {
            warn!("the clock has been set since the last clean-up; nothing is removed this time");
            return Ok(());
        }
        let (limit, store) = (self.settings.batch, &self.store);
        let before = self.before(self.settings.tokens);
        removed(
            "tokens",
            in_steps(limit, &stop, || store.prune_tokens(before, limit)).await?,
        );
        let before = self.before(MAIL_REQUESTS);
        removed(
            "mail requests",
            in_steps(limit, &stop, || store.prune_mail_requests(before, limit)).await?,
        );
        let before = self.before(self.settings.idempotency_keys);
        removed(
            "idempotency keys",
            in_steps(limit, &stop, || store.prune_idempotency_keys(before, limit)).await?,
        );
        let before = self.before(self.settings.nodes);
        removed(
            "nodes",
            in_steps(limit, &stop, || store.prune_nodes(before, limit)).await?,
        );
        let before = self.before(RATES);
        removed(
            "rates",
            in_steps(limit, &stop, || store.prune_rates(before, limit)).await?,
        );
        self.clean_history(&stop).await?;
        Ok(())
    }
}

/// Repeats a step until it finds less than `full` to remove, or a stop is requested.
async fn in_steps<Step>(
    full: u32,
    stop: &Stop,
    mut step: impl FnMut() -> Step,
) -> Result<u64, StoreError>
where
    Step: Future<Output = Result<u64, StoreError>>,
{
    let mut removed = 0;
    loop {
        let rows = step().await?;
        removed += rows;
        if rows < u64::from(full) || stop.is_requested() {
            return Ok(removed);
        }
    }
}

fn removed(what: &str, rows: u64) {
    if rows > 0 {
        info!(rows, what, "removed expired rows");
    }
}

#[cfg(test)]
#[path = "clean_up_tests.rs"]
mod tests;

//! The part in tokio's cooperative budget.

use std::{
    future::Future,
    sync::atomic::{AtomicU8, Ordering},
};

use tokio::task::coop::cooperative;

/// Values, sent or received one by one, for which a task spends one unit of its budget of 128. So a task that never has to
/// wait gives way after about a thousand values, which cost some tens of microseconds. With a unit for each, the giving
/// way costs more than the values: measured, the rate with 4 and 16 producers was half of this.
const VALUES_A_UNIT: u8 = 8;

/// Counts what went through one handle. It is only a count: tasks that share a handle may lose steps to each other, so
/// nothing but the moment of giving way depends on it.
#[derive(Default)]
pub(super) struct Budget(AtomicU8);

impl Budget {
    /// Runs `step`, at the cost of a unit whenever one is due. Where no unit is left, `step` waits until its task had its
    /// turn anew.
    pub(super) async fn spend<F: Future>(&self, step: F) -> F::Output {
        let count = self.0.load(Ordering::Relaxed).wrapping_add(1);
        self.0.store(count, Ordering::Relaxed);
        if count.is_multiple_of(VALUES_A_UNIT) {
            cooperative(step).await
        } else {
            step.await
        }
    }
}

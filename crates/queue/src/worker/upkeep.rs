//! What a node does beside claiming: it looks after the other nodes, and after its own books.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::warn;

use super::holdings::Looks;
use crate::{
    handover::Life,
    lease::Lease,
    queue::{Queue, QueueError, Swept},
    verdict::{Settlement, Verdict},
};

/// How often a node looks after the others.
const SWEEP: Duration = Duration::from_secs(1);

pub(super) struct Upkeep<Q: ?Sized> {
    queue: Arc<Q>,
    life: Life,
    swept: Option<Instant>,
    looks: Looks,
}

impl<Q: Queue + ?Sized> Upkeep<Q> {
    pub(super) fn new(queue: Arc<Q>, life: Life) -> Self {
        Self {
            queue,
            life,
            swept: None,
            looks: Looks::default(),
        }
    }

    /// Does what is due.
    pub(super) async fn round(&mut self) -> Result<(), QueueError> {
        self.sweep().await?;
        self.look().await
    }

    async fn sweep(&mut self) -> Result<(), QueueError> {
        if self.swept.is_some_and(|last| last.elapsed() < SWEEP) {
            return Ok(());
        }
        self.swept = Some(Instant::now());
        let swept = self.queue.sweep().await?;
        if swept != Swept::default() {
            warn!(
                nodes = swept.nodes,
                jobs = swept.jobs,
                "took back the jobs of nodes that are gone"
            );
        }
        Ok(())
    }

    /// Gives back leases of this node that nothing in this process answers for.
    async fn look(&mut self) -> Result<(), QueueError> {
        if !self.looks.is_due() {
            return Ok(());
        }
        let boot = self.life.boot;
        let held = self.queue.held(boot).await?;
        let lost = self.looks.compare(held, &self.life.holdings);
        if lost.is_empty() {
            return Ok(());
        }
        warn!(
            jobs = lost.len(),
            "this node holds jobs that it does not know of, for an answer was lost; giving them back"
        );
        let lease = |(job, fence)| Lease { job, fence, boot };
        give_back(&*self.queue, lost.into_iter().map(lease)).await
    }
}

/// Gives leases back whose jobs have not begun.
pub(super) async fn give_back<Q: Queue + ?Sized>(
    queue: &Q,
    leases: impl Iterator<Item = Lease>,
) -> Result<(), QueueError> {
    let release = |lease| Settlement {
        lease,
        verdict: Verdict::Release,
        effects: None,
    };
    let batch: Arc<[_]> = leases.map(release).collect();
    queue.settle(batch).await.map(|_| ())
}

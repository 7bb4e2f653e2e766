//! Settles ended jobs in batches. A permit is free again only after its job's settlement is committed: otherwise a slow
//! database would let a node hold ever more finished, unsettled work.

use std::{sync::Arc, time::Duration};

use posthaste_host::Stop;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::{info, warn};

use super::Holdings;
use crate::{
    handover::Handover,
    queue::{Queue, Settled},
    verdict::Settlement,
};

/// Most settlements in one call.
const BATCH: usize = 256;
/// The wait after the first failure to settle; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The end of a job, with the permit that it still occupies.
pub(super) struct Ended<E> {
    pub(super) settlement: Settlement<E>,
    pub(super) permit: OwnedSemaphorePermit,
}

pub(super) struct Settler<Q: Queue + ?Sized> {
    queue: Arc<Q>,
    handover: Arc<Handover>,
    holdings: Arc<Holdings>,
    endings: mpsc::Receiver<Ended<Q::Effects>>,
}

impl<Q: Queue + ?Sized> Settler<Q> {
    pub(super) fn new(
        queue: Arc<Q>,
        handover: Arc<Handover>,
        holdings: Arc<Holdings>,
        endings: mpsc::Receiver<Ended<Q::Effects>>,
    ) -> Self {
        Self {
            queue,
            handover,
            holdings,
            endings,
        }
    }

    /// Runs until every executor has ended and all their settlements are committed.
    pub(super) async fn run(mut self, stop: &Stop) {
        while let Some(first) = self.endings.recv().await {
            let mut settlements = vec![first.settlement];
            let mut permits = vec![first.permit];
            while settlements.len() < BATCH
                && let Ok(ended) = self.endings.try_recv()
            {
                settlements.push(ended.settlement);
                permits.push(ended.permit);
            }
            let settlements: Arc<[_]> = settlements.into();
            self.settle(Arc::clone(&settlements), stop).await;
            let ended = |settlement: &Settlement<_>| (settlement.lease.job, settlement.lease.fence);
            self.holdings.ended(settlements.iter().map(ended));
            drop(permits);
            self.handover.permits_freed();
        }
    }

    /// Repeats the call until the queue says what became of each settlement: after an error the outcome may be unknown,
    /// and a repeated settlement is applied once or found stale.
    async fn settle(&self, batch: Arc<[Settlement<Q::Effects>]>, stop: &Stop) {
        let mut wait = FIRST_WAIT;
        loop {
            match self.queue.settle(Arc::clone(&batch)).await {
                Ok(settled) => {
                    let stale = settled
                        .iter()
                        .filter(|settled| **settled == Settled::Stale)
                        .count();
                    if stale > 0 {
                        warn!(
                            jobs = stale,
                            "a lease was lost before its job was settled; the newer holder owns it"
                        );
                    }
                    if wait > FIRST_WAIT {
                        info!(jobs = batch.len(), "settled after failures");
                    }
                    return;
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    warn!(error, jobs = batch.len(), "settling failed; trying again");
                }
            }
            tokio::select! {
                biased;
                () = stop.forced() => {
                    warn!(jobs = batch.len(), "stopped before the queue answered; the next start takes these jobs back");
                    return;
                }
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(LONGEST_WAIT),
            }
        }
    }
}

//! A queue that fails on demand.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use posthaste_host::Stop;
use tokio::sync::Notify;

use crate::{
    BootId, ClaimRequest, Claimed, ClaimedJob, Controls, Fence, JobId, Lane, MemoryQueue, NewJob,
    Promoted, Pulse, Pushed, Queue, QueueError, Settled, Settlement, Swept, Verdict,
};

/// A memory queue whose answers can be held up or refused.
pub(super) struct Faulty {
    pub(super) inner: MemoryQueue<u32>,
    pub(super) refuse_settles: AtomicU32,
    pub(super) lose_settle_answers: AtomicU32,
    pub(super) lose_claim_answers: AtomicU32,
    pub(super) settle_gate: Mutex<Option<Arc<Notify>>>,
    /// Whether others judge its nodes by their beats.
    pub(super) judged: AtomicBool,
    pub(super) claims: Mutex<Vec<ClaimRequest>>,
    /// The lives of the worker, oldest first.
    pub(super) lives: Mutex<Vec<(BootId, Pulse)>>,
    /// Requested as soon as something was claimed.
    pub(super) stop_at_claim: Mutex<Option<Stop>>,
    pub(super) settled: Mutex<Vec<(Verdict, Settled)>>,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

fn take(counter: &AtomicU32) -> bool {
    counter
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        })
        .is_ok()
}

#[async_trait]
impl Queue for Faulty {
    type Effects = u32;

    async fn sweep(&self) -> Result<Swept, QueueError> {
        self.inner.sweep().await
    }

    async fn join(&self, boot: BootId) -> Result<Pulse, QueueError> {
        let unjudged = self.inner.join(boot).await?;
        let pulse = if self.judged.load(Ordering::SeqCst) {
            Pulse::beating()
        } else {
            unjudged
        };
        self.lives.lock().unwrap().push((boot, pulse.clone()));
        Ok(pulse)
    }

    async fn leave(&self, boot: BootId) -> Result<(), QueueError> {
        self.inner.leave(boot).await
    }

    async fn push(&self, jobs: Vec<NewJob>) -> Result<Vec<Pushed>, QueueError> {
        self.inner.push(jobs).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed, QueueError> {
        self.claims.lock().unwrap().push(request.clone());
        let claimed = self.inner.claim(request).await?;
        if !claimed.jobs.is_empty() && take(&self.lose_claim_answers) {
            return Err(QueueError::Unavailable(None));
        }
        if !claimed.jobs.is_empty()
            && let Some(stop) = self.stop_at_claim.lock().unwrap().take()
        {
            stop.request();
        }
        Ok(claimed)
    }

    async fn held(&self, boot: BootId) -> Result<Vec<(JobId, Fence)>, QueueError> {
        self.inner.held(boot).await
    }

    fn controls(&self) -> Controls {
        self.inner.controls()
    }

    async fn claim_suspect(
        &self,
        boot: BootId,
        lanes: &[Lane],
    ) -> Result<Option<ClaimedJob>, QueueError> {
        self.inner.claim_suspect(boot, lanes).await
    }

    async fn settle(&self, batch: Arc<[Settlement<u32>]>) -> Result<Vec<Settled>, QueueError> {
        let gate = self.settle_gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.notified().await;
        }
        if take(&self.refuse_settles) {
            return Err(QueueError::Unavailable(None));
        }
        let settled = self.inner.settle(Arc::clone(&batch)).await?;
        let verdicts = batch.iter().map(|settlement| settlement.verdict.clone());
        self.settled
            .lock()
            .unwrap()
            .extend(verdicts.zip(settled.iter().copied()));
        if take(&self.lose_settle_answers) {
            Err(QueueError::Unavailable(None))
        } else {
            Ok(settled)
        }
    }

    async fn promote(&self) -> Result<Promoted, QueueError> {
        self.inner.promote().await
    }
}

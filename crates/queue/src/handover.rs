//! Hand-over: work that was just accepted goes straight to a free executor of this node, without a claim.
//!
//! A store that accepts work asks for a [`Reservation`] first. It gets one only if that cannot overtake waiting work:
//! the lane is open, its latest claim (at most 1 s old) found nothing, and a permit is free at this moment. The row is
//! then inserted as already leased, and delivered here after the commit. In every other case the row is inserted as
//! ready and the worker is told that something waits.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::{
    channel::{Closed, Sender, TrySendError},
    job::{ClaimedJob, JobId, Lane},
    lease::{BootId, Fence, Lease},
};

/// A claimed job with the permit that it occupies until its settlement is committed.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) job: ClaimedJob,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// What accepting stores and the worker of one node share.
pub struct Handover {
    boot: BootId,
    lanes: BTreeMap<Lane, LaneState>,
    recent: Duration,
    open: AtomicBool,
    channel: Sender<Held>,
    waiting: Notify,
}

struct LaneState {
    permits: Arc<Semaphore>,
    /// When a claim last found nothing; `None` since work was seen waiting.
    empty_since: Mutex<Option<Instant>>,
}

impl Handover {
    pub(crate) fn new(
        boot: BootId,
        lanes: impl IntoIterator<Item = (Lane, Arc<Semaphore>)>,
        recent: Duration,
        channel: Sender<Held>,
    ) -> Self {
        let state = |permits| LaneState {
            permits,
            empty_since: Mutex::new(None),
        };
        let lanes = lanes
            .into_iter()
            .map(|(lane, permits)| (lane, state(permits)))
            .collect();
        Self {
            boot,
            lanes,
            recent,
            open: AtomicBool::new(false),
            channel,
            waiting: Notify::new(),
        }
    }

    /// The right to insert one job of `lane` as already leased to this node; never waits.
    #[must_use]
    pub fn reserve(self: &Arc<Self>, lane: &Lane) -> Option<Reservation> {
        if !self.open.load(Ordering::Acquire) {
            return None;
        }
        let state = self.lanes.get(lane)?;
        let empty_since = *state
            .empty_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if empty_since.is_none_or(|at| at.elapsed() > self.recent) {
            return None;
        }
        let permit = Arc::clone(&state.permits).try_acquire_owned().ok()?;
        Some(Reservation {
            handover: Arc::clone(self),
            permit,
        })
    }

    /// Says that work of `lane` was committed without a reservation: the worker claims it soon, and nothing is handed
    /// over before it.
    pub fn work_waits(&self, lane: &Lane) {
        self.claimed(lane, Found::Work);
        self.waiting.notify_one();
    }

    /// Says that permits are free again: worth a claim only where work is known to wait.
    pub(crate) fn permits_freed(&self) {
        let waits = |lane: &LaneState| {
            lane.empty_since
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_none()
        };
        if self.lanes.values().any(waits) {
            self.waiting.notify_one();
        }
    }

    /// Starts a job that was claimed from the table.
    pub(crate) async fn start(&self, held: Held) -> Result<(), Box<Held>> {
        self.channel
            .send(held)
            .await
            .map(|_| ())
            .map_err(|Closed(held)| Box::new(held))
    }

    pub(crate) async fn wait_for_work(&self) {
        self.waiting.notified().await;
    }

    pub(crate) fn claimed(&self, lane: &Lane, found: Found) {
        if let Some(state) = self.lanes.get(lane) {
            *state
                .empty_since
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = match found {
                Found::Nothing => Some(Instant::now()),
                Found::Work => None,
            };
        }
    }

    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::Release);
    }

    pub(crate) fn close(&self) {
        self.open.store(false, Ordering::Release);
    }
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover")
            .field("boot", &self.boot)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

/// What a claim found in a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    Work,
}

/// A free executor, kept for one job that is being committed. Dropping it frees the executor.
#[derive(Debug)]
pub struct Reservation {
    handover: Arc<Handover>,
    permit: OwnedSemaphorePermit,
}

impl Reservation {
    /// Who will hold the lease.
    #[must_use]
    pub fn boot(&self) -> BootId {
        self.handover.boot
    }

    /// The lease under which `job` is to be inserted.
    #[must_use]
    pub fn lease(&self, job: JobId) -> Lease {
        Lease {
            job,
            fence: Fence::FIRST,
            boot: self.handover.boot,
        }
    }

    /// Starts the job, now that its row is committed. It comes back if the worker has begun to stop: then the row has to
    /// be given back.
    ///
    /// # Errors
    /// [`ClaimedJob`] back, boxed for its size.
    pub fn deliver(self, job: ClaimedJob) -> Result<(), Box<ClaimedJob>> {
        let Self { handover, permit } = self;
        match handover.channel.try_send(Held { job, permit }) {
            Ok(_) => Ok(()),
            Err(TrySendError::Full(held) | TrySendError::Closed(held)) => Err(Box::new(held.job)),
        }
    }
}

//! Hand-over: work that was just accepted goes straight to a free executor of this node, without a claim.
//!
//! A store that accepts work asks for a [`Reservation`] first. It gets one only if that cannot overtake waiting work:
//! the lane is open and has no limits over all nodes, its latest claim (at most 1 s old) found nothing, and a permit is free at this moment. The row is
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
    channel::{Sender, TrySendError},
    controls::Controls,
    job::{ClaimedJob, JobId, Lane},
    lease::{BootId, Fence, Lease},
    pulse::Pulse,
    queue::SharedLimits,
    worker::Holdings,
};

/// A claimed job with the permit that it occupies until its settlement is committed.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) job: ClaimedJob,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// What accepting stores and the worker of one node share.
pub struct Handover {
    /// The node's present life; none before its first.
    life: Mutex<Option<Life>>,
    lanes: BTreeMap<Lane, LaneState>,
    recent: Duration,
    open: AtomicBool,
    waiting: Notify,
}

/// One boot id, for as long as the other nodes hold it for alive.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) boot: BootId,
    pub(crate) pulse: Pulse,
    pub(crate) channel: Sender<Held>,
    pub(crate) controls: Controls,
    pub(crate) holdings: Arc<Holdings>,
}

struct LaneState {
    permits: Arc<Semaphore>,
    /// Jobs of a lane with limits over all nodes are counted where they are claimed.
    claimed_only: bool,
    /// When a claim last found nothing; `None` since work was seen waiting.
    empty_since: Mutex<Option<Instant>>,
}

impl Handover {
    pub(crate) fn new(
        lanes: impl IntoIterator<Item = (Lane, Arc<Semaphore>, SharedLimits)>,
        recent: Duration,
    ) -> Self {
        let state = |permits, limits: SharedLimits| LaneState {
            permits,
            claimed_only: !limits.is_none(),
            empty_since: Mutex::new(None),
        };
        let lanes = lanes
            .into_iter()
            .map(|(lane, permits, limits)| (lane, state(permits, limits)))
            .collect();
        Self {
            life: Mutex::default(),
            lanes,
            recent,
            open: AtomicBool::new(false),
            waiting: Notify::new(),
        }
    }

    /// The right to insert one job of `lane` as already leased to this node; never waits.
    #[must_use]
    pub fn reserve(self: &Arc<Self>, lane: &Lane) -> Option<Reservation> {
        if !self.open.load(Ordering::Acquire) {
            return None;
        }
        let state = self.lanes.get(lane).filter(|lane| !lane.claimed_only)?;
        let empty_since = *state
            .empty_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if empty_since.is_none_or(|at| at.elapsed() > self.recent) {
            return None;
        }
        let may = |life: &Life| life.pulse.is_fresh() && !life.controls.is_paused(lane);
        let life = self.life().filter(may)?;
        let permit = Arc::clone(&state.permits).try_acquire_owned().ok()?;
        Some(Reservation { life, permit })
    }

    fn life(&self) -> Option<Life> {
        self.life
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Says that work of `lane` was committed without a reservation: the worker claims it soon, and nothing is handed
    /// over before it.
    pub fn work_waits(&self, lane: &Lane) {
        if self.lanes.contains_key(lane) {
            self.claimed(lane, Found::Work);
            self.waiting.notify_one();
        }
    }

    /// Says that work of any lane may have been committed by somebody else.
    pub fn work_may_wait(&self) {
        for lane in self.lanes.keys() {
            self.claimed(lane, Found::Work);
        }
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

    /// From now on work may be handed over to this life of the node.
    pub(crate) fn open(&self, life: Life) {
        *self.life.lock().unwrap_or_else(PoisonError::into_inner) = Some(life);
        self.open.store(true, Ordering::Release);
    }

    pub(crate) fn close(&self) {
        self.open.store(false, Ordering::Release);
    }
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover")
            .field("boot", &self.life().map(|life| life.boot))
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
pub struct Reservation {
    life: Life,
    permit: OwnedSemaphorePermit,
}

impl Reservation {
    /// Who will hold the lease.
    #[must_use]
    pub fn boot(&self) -> BootId {
        self.life.boot
    }

    /// The lease under which `job` is to be inserted.
    #[must_use]
    pub fn lease(&self, job: JobId) -> Lease {
        Lease {
            job,
            fence: Fence::FIRST,
            boot: self.life.boot,
        }
    }

    /// Starts the job, now that its row is committed. It comes back if the worker has begun to stop: then the row has to
    /// be given back.
    ///
    /// # Errors
    /// [`ClaimedJob`] back, boxed for its size.
    pub fn deliver(self, job: ClaimedJob) -> Result<(), Box<ClaimedJob>> {
        let Self { life, permit } = self;
        life.holdings.hold(&job.lease);
        match life.channel.try_send(Held { job, permit }) {
            Ok(_) => Ok(()),
            Err(TrySendError::Full(held) | TrySendError::Closed(held)) => Err(Box::new(held.job)),
        }
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("boot", &self.life.boot)
            .finish_non_exhaustive()
    }
}

//! All keys: those of the settings, and those that are stored. What the store says is believed for five seconds, so that a
//! key that is taken away is refused on every node soon after, and most requests ask nobody.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;

use super::{ApiKey, KeyHash, KeyRing, secret::is_well_formed};
use crate::{
    clock::{Clock, Timestamp, later},
    stores::{ApiKeyStore, StoreError, StoredApiKey},
};

/// How long an answer of the store is believed.
pub const BELIEVED: Duration = Duration::from_secs(5);
/// How often the last use of a key is written down.
const USE_WRITTEN: TimeDelta = TimeDelta::minutes(1);
/// Most keys that are remembered.
const REMEMBERED: usize = 10_000;

struct Known {
    key: Option<StoredApiKey>,
    shared: Option<Arc<ApiKey>>,
    at: Timestamp,
}

/// All keys.
pub struct KeyChain {
    ring: HashMap<KeyHash, Arc<ApiKey>>,
    store: Arc<dyn ApiKeyStore>,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<KeyHash, Known>>,
    /// How often keys were changed through this process.
    changes: AtomicU64,
}

impl fmt::Debug for KeyChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyChain")
            .field("configured", &self.ring.len())
            .finish_non_exhaustive()
    }
}

impl KeyChain {
    /// The keys of `ring` and of `store`.
    #[must_use]
    pub fn new(ring: KeyRing, store: Arc<dyn ApiKeyStore>, clock: Arc<dyn Clock>) -> Self {
        let ring = ring.0.into_iter();
        Self {
            ring: ring.map(|(hash, key)| (hash, Arc::new(key))).collect(),
            store,
            clock,
            known: Mutex::default(),
            changes: AtomicU64::new(0),
        }
    }

    /// The key that was presented, if it is valid now.
    ///
    /// # Errors
    /// [`StoreError`] if it can be a stored one and the store does not answer.
    pub async fn find(&self, presented: &str) -> Result<Option<Arc<ApiKey>>, StoreError> {
        let hash = KeyHash::of(presented);
        if let Some(key) = self.ring.get(&hash) {
            return Ok(Some(Arc::clone(key)));
        }
        if !is_well_formed(presented) {
            return Ok(None);
        }
        let now = self.clock.now();
        if let Some(known) = self.known().get(&hash)
            && known.at <= now
            && now < later(known.at, BELIEVED)
        {
            return Ok(known.valid(now));
        }
        let changes = self.changes.load(Ordering::Acquire);
        let key = self.store.find(hash).await?;
        if let Some(key) = &key {
            self.used(key, now).await;
        }
        let known = Known {
            shared: key.as_ref().map(|stored| Arc::new(stored.key.clone())),
            key,
            at: now,
        };
        let found = known.valid(now);
        let mut all = self.known();
        if self.changes.load(Ordering::Acquire) != changes {
            // It was read before the change, and is not to be believed after it.
            return Ok(found);
        }
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(hash, known);
        Ok(found)
    }

    /// Stored keys were changed through this process: they are asked for anew.
    pub fn forget(&self) {
        let mut known = self.known();
        self.changes.fetch_add(1, Ordering::AcqRel);
        known.clear();
    }

    /// That a key was used is worth little: where it cannot be written, the request goes on.
    async fn used(&self, key: &StoredApiKey, now: Timestamp) {
        let written = key.last_used_at;
        if written.is_none_or(|at| now - at >= USE_WRITTEN) {
            self.store.used(key.id, now).await.ok();
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<KeyHash, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn valid(&self, now: Timestamp) -> Option<Arc<ApiKey>> {
        let key = self.key.as_ref()?;
        let is_over = key.expires_at.is_some_and(|at| at <= now);
        self.shared.clone().filter(|_| !is_over)
    }
}

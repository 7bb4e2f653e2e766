//! Submits under an idempotency key that are on their way on this node. A second one under the same key waits for the
//! first one's end and shares its answer, without a trip to the database.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::keys::{Identity, Kept};

type Ends = HashMap<Identity, watch::Receiver<Option<Kept>>>;

/// Those on their way: as many as callers that wait for their answers.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<Ends>);

/// A submit under a key.
pub(super) enum Entry<'a> {
    /// The only one at this moment.
    First(Flight<'a>),
    /// Another one is on its way; this tells what then stands under the key, or closes without an answer if that one
    /// failed or was given up.
    Later(watch::Receiver<Option<Kept>>),
}

impl InFlight {
    pub(super) fn enter(&self, identity: &Identity) -> Entry<'_> {
        let mut ends = self.ends();
        if let Some(end) = ends.get(identity) {
            return Entry::Later(end.clone());
        }
        let (end, seen) = watch::channel(None);
        ends.insert(identity.clone(), seen);
        Entry::First(Flight {
            all: self,
            identity: identity.clone(),
            end,
        })
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first submit under a key. Dropped, it makes way for the next one: also when its caller hangs up, for what the
/// writer has begun is written before whatever the next one asks for.
pub(super) struct Flight<'a> {
    all: &'a InFlight,
    identity: Identity,
    end: watch::Sender<Option<Kept>>,
}

impl Flight<'_> {
    /// This stands under the key now.
    pub(super) fn ended(&self, kept: Kept) {
        self.end.send_replace(Some(kept));
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.all.ends().remove(&self.identity);
    }
}

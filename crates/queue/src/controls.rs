//! What operators have switched, as one process knows it (I18).
//!
//! A change raises a version in the database. Each node reads the new state with its next beat and shows the version with
//! the one after; the command that made the change returns when all live nodes show it.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use crate::job::Lane;

/// Counts the changes that operators have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ControlVersion(pub i64);

/// The lanes that are paused, shared by whoever learns of it and whoever acts by it.
#[derive(Clone, Default)]
pub struct Controls(Arc<RwLock<State>>);

#[derive(Default)]
struct State {
    version: ControlVersion,
    paused: BTreeSet<Lane>,
}

impl Controls {
    /// From now on exactly these lanes are paused, by this version; an older one changes nothing.
    pub fn apply(&self, version: ControlVersion, paused: impl IntoIterator<Item = Lane>) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if version >= state.version {
            *state = State {
                version,
                paused: paused.into_iter().collect(),
            };
        }
    }

    /// What was applied last.
    #[must_use]
    pub fn version(&self) -> ControlVersion {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .version
    }

    /// All paused lanes.
    #[must_use]
    pub fn paused(&self) -> Vec<Lane> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        state.paused.iter().cloned().collect()
    }

    /// Whether nothing of this lane may start or be let out.
    #[must_use]
    pub fn is_paused(&self, lane: &Lane) -> bool {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .paused
            .contains(lane)
    }
}

impl fmt::Debug for Controls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Controls")
            .field("version", &state.version)
            .field("paused", &state.paused)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I18.
    #[test]
    fn an_older_version_changes_nothing() {
        let (controls, lane) = (Controls::default(), "a".parse::<Lane>().unwrap());
        controls.apply(ControlVersion(2), [lane.clone()]);
        controls.apply(ControlVersion(1), []);
        assert!(controls.is_paused(&lane));
        controls.apply(ControlVersion(3), []);
        assert!(!controls.is_paused(&lane));
        assert_eq!(controls.version(), ControlVersion(3));
    }
}

//! Submits are refused before the disk is full, so that what was accepted can still be ended.

use std::time::{Duration, Instant};

use tracing::{info, warn};

/// How often the free space is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What was last seen of the disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    looked: Option<Instant>,
    below_floor: bool,
}

impl Disk {
    /// Whether fewer than `floor` bytes were free at the last look. Unknown space is enough.
    pub(super) fn is_below(&mut self, floor: u64, free: impl FnOnce() -> Option<u64>) -> bool {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return self.below_floor;
        }
        let free = free();
        let below = free.is_some_and(|free| free < floor);
        if below && !self.below_floor {
            warn!(
                free_bytes = free,
                floor_bytes = floor,
                "the disk is nearly full; submits are refused"
            );
        } else if !below && self.below_floor {
            info!(free_bytes = free, "there is room on the disk again");
        }
        *self = Self {
            looked: Some(Instant::now()),
            below_floor: below,
        };
        below
    }
}

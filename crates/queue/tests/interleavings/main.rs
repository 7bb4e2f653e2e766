//! The channel under many orders of its threads.
//!
//! The channel's own sources are compiled here a second time, with locks and atomics that hand each step to a scheduler;
//! the product is built as ever and knows nothing of it. A wake-up that is lost shows as a deadlock, whose seed is
//! printed. Only what the channel itself adds to plain locks is tried here: the two halves and the two words between.

mod tries;

#[path = "../../src"]
#[expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the library exports all of it, these tests use some"
)]
mod src {
    pub(crate) mod channel;
}
pub(crate) use src::channel;

/// Stands where the library has the locks of `std`.
pub(crate) mod sync {
    pub(crate) use shuttle::sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    };
}

//! The lock that the channel is built on. `tests/interleavings` compiles the channel's sources a second time with a lock
//! of its own in this place, one that tries out orders of threads; so the channel takes its locks from nowhere else.

pub(crate) use std::sync::{Mutex, MutexGuard};

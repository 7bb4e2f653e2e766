//! What the channel is built on. `tests/interleavings` compiles the channel's sources a second time with locks and atomics
//! in this place that try out orders of threads; so the channel takes them from nowhere else.

pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

//! The host's rules, in paused time.

mod bench;
mod failure;
mod logs;
mod restart;
mod signals;
mod start;
mod stop;
mod storm;

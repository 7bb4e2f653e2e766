//! Streams in memory, on paused time: what a full one does, what a stop leaves, and that nothing is stored without need.

mod bench;
mod full;
mod stopping;
mod trying;

//! The worker over the memory queue, in paused time.

mod bench;
mod ends;
mod faulty;
mod handing_over;
mod lives;
mod pausing;
mod running;
mod stopping;
mod suspects;

//! Jobs that may bring a process down, found without punishing their neighbours.
//!
//! When a process dies, each job that it held has one crash more, the guilty one and all the others. After one crash all
//! run again as usual. A job with [`APART_FROM`] crashes is suspect: it runs only on a node that has been up for
//! [`UP_FOR`], one such job at a time, and nothing else starts there for the first [`ALONE`]. So only the guilty one
//! crashes once more, and at [`QUARANTINED_FROM`] it is taken out of the way, for a person. An attempt that ends in any
//! way but a crash clears the job.

use std::time::Duration;

/// A job with so many crashes runs apart.
pub const APART_FROM: u32 = 2;
/// A job with so many crashes runs no more.
pub const QUARANTINED_FROM: u32 = 3;
/// How long a node must have been up before it runs a suspect.
pub const UP_FOR: Duration = Duration::from_secs(10);
/// How long nothing else starts beside a suspect.
pub const ALONE: Duration = Duration::from_secs(2);
/// What is kept as the reason of a quarantined job.
pub const REASON: &str =
    "it brought down each process that ran it, the last time while it ran apart";

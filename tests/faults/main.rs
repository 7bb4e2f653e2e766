//! Kills, power cuts, full disks and hostile peers against the real binary: short figures on every change, the full
//! ones under `tests/run --long`. One at a time, each with the machine to itself.

mod account;
mod calls;
mod cluster;
mod database;
mod disk;
mod kills;
mod load;
mod poison;

#[expect(dead_code, reason = "the e2e tests use the rest")]
#[path = "../support/mod.rs"]
mod support;

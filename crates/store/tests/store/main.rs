//! The store on a real SQLite file.

mod accepting;
mod accounts;
mod contract;
mod durability;
mod housekeeping;
mod sessions;
mod settling;
mod support;
mod writer;

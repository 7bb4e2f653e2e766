//! The real binary from outside: what a person or a program meets, over HTTP, SMTP, files, signals and exit codes.

mod accounts;
mod api_keys;
mod attachments;
mod benches;
mod clients;
mod command_line;
mod control;
mod crowd;
mod delivery;
mod direct;
mod idempotency;
mod memory_streams;
mod nodes;
mod patience;
mod peers;
mod refusals;
mod scheduling;
mod sessions;
mod signing;
mod stopping;
mod submitting;
mod uncertain;
mod ways;

#[expect(dead_code, reason = "the fault tests use the rest")]
#[path = "../support/mod.rs"]
mod support;

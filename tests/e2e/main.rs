//! The real binary from outside: what a person or a program meets, over HTTP, SMTP, files, signals and exit codes.

mod command_line;
mod peers;

#[expect(dead_code, reason = "the fault tests use the rest")]
#[path = "../support/mod.rs"]
mod support;

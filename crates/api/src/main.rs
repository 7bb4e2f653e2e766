//! The binary: reads the process's arguments, environment and working directory, and hands them on.

use std::{env, io::Write, process::ExitCode, time::Duration};

use clap::Parser;
use posthaste_api::cli::Cli;

/// How long blocking work that nobody waits for any more may take to end.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            return give_up(
                &format!("error[E0101]: no runtime could be started\n  cause: {error}"),
                1,
            );
        }
    };
    let environment = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let working_dir = env::current_dir().unwrap_or_default();
    let code = match runtime.block_on(cli.run(environment.collect(), working_dir)) {
        Ok(code) => code.into(),
        Err(failure) => give_up(&failure.to_string(), failure.exit_code()),
    };
    // A thread that is blocked cannot be ended: what the host has left behind must not hold up the end of the process.
    runtime.shutdown_timeout(LEFT_BEHIND);
    code
}

fn give_up(text: &str, code: u8) -> ExitCode {
    // Nobody to tell it to is no reason to end otherwise.
    writeln!(std::io::stderr(), "{text}").ok();
    code.into()
}

//! Faults put in at chosen system calls.

use crate::support::{desk::Desk, tools};

#[test]
fn a_traced_process_keeps_its_own_exit_code() {
    let Some(strace) = tools::strace() else {
        return;
    };
    let desk = Desk::new().under(&[
        strace,
        "-D",
        "-f",
        "-qq",
        "-o",
        "trace.log",
        "-e",
        "trace=exit_group",
    ]);
    let output = desk.run(&["--version"]);
    assert!(output.status.success());
    assert!(desk.path("trace.log").is_file());
}

//! Commands that end by themselves.

use crate::support::desk::Desk;

#[test]
fn the_binary_names_itself_and_its_version() {
    let output = Desk::new().run(&["--version"]);
    assert!(output.status.success());
    let version = format!("posthaste {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), version);
}

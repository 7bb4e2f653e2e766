//! Published clients of the API whose shape ours has, unmodified: each runs through all that it knows and this server has.

use std::process::{Command, Stdio};

use crate::support::{desk::Desk, tools};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/sdk/");

fn runs_through(program: &str, script: Option<&str>) {
    let desk = Desk::new();
    let server = desk.start();
    let base = server.client().base().to_owned();
    let mut command = Command::new(program);
    command.args(script.map(|script| format!("{FOLDER}{script}")));
    let output = command
        .args([base.as_str(), "re_ph_dev"])
        // The client for Rust takes both from here, and its own limit of requests.
        .envs([
            ("RESEND_BASE_URL", base.as_str()),
            ("RESEND_API_KEY", "re_ph_dev"),
        ])
        .env("RESEND_RATE_LIMIT", "1000")
        .stdin(Stdio::null())
        .output()
        .expect("the client starts");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && stdout.trim() == "ok",
        "{stdout}{stderr}"
    );
}

#[test]
fn the_client_for_node_runs_through_the_api() {
    if let Some(node) = tools::node("resend") {
        runs_through(node, Some("client.mjs"));
    }
}

#[test]
fn the_client_for_python_runs_through_the_api() {
    if let Some(python) = tools::resend() {
        runs_through(python, Some("client.py"));
    }
}

#[test]
fn the_client_for_rust_runs_through_the_api() {
    if let Some(client) = tools::rust_client() {
        runs_through(&client, None);
    }
}

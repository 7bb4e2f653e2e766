//! Published clients of the API whose shape ours has, unmodified: each runs through all that it knows and this server has.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

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

/// Runs the example in this language as it stands but for the address, and gives what it prints.
fn printed_by_example(language: &str, program: &str, words: &[&str], desk: &Desk) -> String {
    let readme = include_str!("../../README.md");
    let begin = format!("```{language}\n");
    let (_, rest) = readme.split_once(&begin).expect("README has an example");
    let (example, _) = rest.split_once("```").expect("it ends");
    let server = desk.start();
    let example = example.replace("http://localhost:8025", server.client().base());
    let mut running = Command::new(program)
        .args(words)
        // Node looks here for packages.
        .current_dir(format!("{FOLDER}.."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client starts");
    let mut stdin = running.stdin.take().expect("it reads");
    stdin.write_all(example.as_bytes()).expect("it reads all");
    drop(stdin);
    let output = running.wait_with_output().expect("it ends");
    let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(output.status.success(), "{printed}");
    let to = if language == "js" {
        "ada@example.com"
    } else {
        "bob@example.com"
    };
    desk.outbox().await_letter(to, Duration::from_secs(20));
    printed
}

#[test]
fn the_examples_of_the_readme_work_as_they_stand() {
    let (Some(node), Some(python)) = (tools::node("resend"), tools::resend()) else {
        return;
    };
    let words = ["--input-type=module", "-"];
    for id in [
        printed_by_example("js", node, &words, &Desk::new()),
        printed_by_example("python", python, &["-"], &Desk::new()),
    ] {
        assert_eq!(id.len(), 36, "{id}");
    }
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

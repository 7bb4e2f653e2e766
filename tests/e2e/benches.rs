//! `posthaste bench`: it measures on a database of its own, tells what it saw, and leaves nothing behind.

use std::fs;

use serde_json::Value;

use crate::support::{desk::Desk, sink::Sink};

/// Runs a bench that must work, and gives its document.
#[track_caller]
fn bench(desk: &Desk, arguments: &[&str]) -> Value {
    let all = [&["bench"], arguments, &["--json"]].concat();
    let output = desk.run(&all);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

#[track_caller]
fn positive(value: &Value) {
    assert!(value.as_f64().is_some_and(|value| value > 0.0), "{value}");
}

fn is_empty(desk: &Desk) -> bool {
    let mut folder = fs::read_dir(desk.folder()).expect("the folder is ours");
    folder.next().is_none()
}

#[test]
fn bench_accept_tells_a_share_and_leaves_nothing_behind() {
    let desk = Desk::new();
    let arguments = [
        "accept",
        "--jobs",
        "50",
        "--in-flight",
        "8",
        "--rounds",
        "2",
    ];
    let report = bench(&desk, &arguments);
    assert_eq!(report["rounds"].as_array().unwrap().len(), 2);
    for figure in [
        "/ratio/best",
        "/ratio_to_bare/median",
        "/rounds/1/store/p99_ms",
    ] {
        positive(report.pointer(figure).unwrap());
    }
    assert!(is_empty(&desk), "the throw-away database is still there");
}

#[test]
fn bench_queue_tells_rates_memory_and_the_wait_for_a_handler() {
    let desk = Desk::new();
    let file = desk.path("new.db");
    let url = format!("sqlite:{}", file.display());
    let arguments = [
        "queue",
        "--jobs",
        "50",
        "--in-flight",
        "8",
        "--rounds",
        "1",
        "--database",
        &url,
    ];
    let report = bench(&desk, &arguments);
    for figure in [
        "/enqueue_per_s/median",
        "/drain_per_s/median",
        "/memory/peak_mib",
        "/pick_up/p50_ms",
    ] {
        positive(report.pointer(figure).unwrap());
    }
    assert!(is_empty(&desk), "the throw-away database is still there");
}

#[test]
fn a_bench_never_works_on_a_file_that_is_there() {
    let desk = Desk::new();
    let file = desk.path("mine.db");
    fs::write(&file, "somebody's").unwrap();
    let url = format!("sqlite:{}", file.display());
    let output = desk.run(&["bench", "queue", "--database", &url]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{told}");
    assert!(told.contains("error[E0208]"), "{told}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "somebody's");
    assert_eq!(fs::read_dir(desk.folder()).unwrap().count(), 1);
}

/// On PostgreSQL it takes a schema of its own, and one node works on what another accepts.
#[test]
fn a_bench_on_postgresql_drops_what_it_made() {
    let Some(server) = crate::support::figures::variable("TEST_DATABASE_URL") else {
        assert!(
            !crate::support::figures::is_set("CI"),
            "TEST_DATABASE_URL is not set"
        );
        return;
    };
    let desk = Desk::new();
    let url = format!("{server}/postgres");
    let arguments = [
        "queue",
        "--jobs",
        "50",
        "--in-flight",
        "8",
        "--rounds",
        "1",
        "--database",
        &url,
    ];
    let report = bench(&desk, &arguments);
    positive(report.pointer("/pick_up_across/p50_ms").unwrap());
    assert!(is_empty(&desk));
}

#[test]
fn bench_send_tells_the_whole_way_and_leaves_nothing_behind() {
    let desk = Desk::new();
    let arguments = [
        "send",
        "--jobs",
        "50",
        "--in-flight",
        "8",
        "--connections",
        "2",
        "--rounds",
        "2",
    ];
    let report = bench(&desk, &arguments);
    assert_eq!(report["rounds"].as_array().unwrap().len(), 2);
    for figure in [
        "/accept_per_s/best",
        "/drain_per_s/median",
        "/end_to_end_per_s/median",
    ] {
        positive(report.pointer(figure).unwrap());
    }
    let size = report["bytes"].as_u64().unwrap();
    assert!((4500..5500).contains(&size), "{size} bytes a mail");
    assert!(is_empty(&desk), "the throw-away database is still there");
}

#[test]
fn bench_send_sends_to_the_server_that_is_named() {
    let Some(sink) = Sink::start() else { return };
    let desk = Desk::new();
    let server = format!("127.0.0.1:{}", sink.port());
    let arguments = ["send", "--smtp", &server, "--jobs", "5", "--rounds", "1"];
    let report = bench(&desk, &arguments);
    assert!(report["bytes"].is_null(), "{report}");
    assert_eq!(sink.history().len(), 10);
    let wrong = desk.run(&["bench", "send", "--smtp", "nowhere"]);
    assert_eq!(wrong.status.code(), Some(2));
    let away = desk.run(&["bench", "send", "--smtp", "127.0.0.1:1", "--jobs", "5"]);
    let told = String::from_utf8_lossy(&away.stderr);
    assert_eq!(away.status.code(), Some(1), "{told}");
    assert!(told.contains("Connection refused"), "{told}");
    assert!(is_empty(&desk), "the throw-away database is still there");
}

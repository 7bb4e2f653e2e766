//! Several processes on one PostgreSQL database: any of them takes mail, any of them sends it, and any of them may die.

use std::{
    collections::BTreeMap,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{
    desk::Desk,
    eventually::eventually,
    figures::{is_set, variable},
    sink::Sink,
};

const SECOND: Duration = Duration::from_secs(1);

/// A new database on the server of the test run; none without one, and the test is skipped then.
pub(crate) fn new_database() -> Option<String> {
    let Some(server) = variable("TEST_DATABASE_URL") else {
        assert!(
            !is_set("CI"),
            "TEST_DATABASE_URL is not set: tests/run starts a PostgreSQL server"
        );
        return None;
    };
    let name = format!("e{}", uuid::Uuid::new_v4().simple());
    let made = Command::new("psql")
        .args([&format!("{server}/postgres"), "-q", "-c"])
        .arg(format!("CREATE DATABASE {name}"))
        .status()
        .expect("psql comes with the server");
    assert!(made.success());
    Some(format!("{server}/{name}"))
}

pub(crate) fn node(database: &str, sink: &Sink, roles: &str) -> Desk {
    Desk::new()
        .set("database.url", database)
        .set("database.secret_key", "5e".repeat(32))
        .set("roles", roles)
        .set("transports.relay.kind", "smtp")
        .set("transports.relay.host", "127.0.0.1")
        .set("transports.relay.port", sink.port().to_string())
        .set("transports.relay.tls", "none")
        .set("streams.transactional.transport", "relay")
        .set("log.filter", "warn,posthaste_api::server=info")
}

/// P2, P4. What one node accepts another sends. A node that is killed in the middle loses nothing: its jobs run again on
/// the other one within ten seconds, and a copy has the first one's bytes.
#[test]
fn a_node_takes_mail_others_send_it_and_a_kill_loses_nothing() {
    let (Some(sink), Some(database)) = (Sink::start(), new_database()) else {
        return;
    };
    let (desk, first, second) = (
        node(&database, &sink, "api"),
        node(&database, &sink, "worker"),
        node(&database, &sink, "worker"),
    );
    let api = desk.start();
    let mut workers = vec![first.launch(), second.launch()];
    let client = api.client().with_key("re_ph_dev");
    let submit = |number: usize| {
        let body = json!({"from": "app@example.com", "to": format!("user{number}@example.com"), "subject": "hi", "text": "x"});
        client.post("/emails", &body).expect(200);
    };
    for number in 0..100 {
        submit(number);
    }
    eventually("the first mails are sent", 30 * SECOND, || {
        (sink.history().len() >= 20).then_some(())
    });
    workers.remove(0).kill();
    let killed = Instant::now();
    for number in 100..150 {
        submit(number);
    }
    let copies = eventually("all mails are sent", 60 * SECOND, || {
        let mut copies: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for taken in sink.history() {
            let bytes = (taken.message_id, taken.sha256);
            copies.entry(taken.recipient).or_default().push(bytes);
        }
        (copies.len() == 150).then_some(copies)
    });
    assert!(
        killed.elapsed() < 12 * SECOND,
        "ten seconds and the poll: {:?}",
        killed.elapsed()
    );
    for (recipient, copies) in &copies {
        assert!(
            copies.iter().all(|copy| copy == &copies[0]),
            "{recipient} got different mails"
        );
    }
    let copies: usize = copies.values().map(Vec::len).sum();
    assert!(
        copies <= 150 + 20,
        "{copies} copies: more than were in flight"
    );
    let mut left = workers.remove(0);
    left.terminate();
    assert_eq!(left.wait(30 * SECOND).code(), Some(0), "{}", left.stderr());
}

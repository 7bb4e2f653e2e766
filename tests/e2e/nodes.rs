//! Several processes on one PostgreSQL database: any of them takes mail, any of them sends it, and any of them may die.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{
    desk::Desk,
    eventually::eventually,
    http::Client,
    postgres::{ask, new_database},
    sink::Sink,
};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn node(database: &str, sink: &Sink, roles: &str) -> Desk {
    Desk::sending_to(sink)
        .on(database, roles)
        .set("log.filter", "warn,posthaste_api::server=info")
}

/// How many sessions of this database listen for hints.
fn listeners(database: &str) -> usize {
    let count = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    ask(database, count).parse().expect("a number")
}

/// An API and a worker that polls this often, on one database.
fn api_and_worker(database: &str, sink: &Sink, poll: &str, hints: &str) -> [Desk; 2] {
    ["api", "worker"].map(|roles| {
        node(database, sink, roles)
            .set("queue.poll", poll)
            .set("database.hints", hints)
    })
}

/// Submits one mail after the other, and gives the longest wait until the next has arrived.
fn longest_wait(client: &Client, sink: &Sink, mails: usize) -> Duration {
    let wait = |number: usize| {
        let to = format!("user{number}@example.com");
        let body = json!({"from": "app@example.com", "to": to, "subject": "hi", "text": "x"});
        let submitted = Instant::now();
        client.post("/emails", &body).expect(200);
        eventually("the mail arrives", 20 * SECOND, || {
            let history = sink.history();
            history
                .iter()
                .any(|taken| taken.recipient == to)
                .then_some(())
        });
        submitted.elapsed()
    };
    (0..mails).map(wait).max().expect("at least one")
}

/// I37. A worker that looks once a minute begins at once what another node accepts, also after it has lost the connection
/// on which it listens.
#[test]
fn a_worker_elsewhere_begins_at_once_what_a_node_accepts() {
    let (Some(sink), Some(database)) = (Sink::start(), new_database()) else {
        return;
    };
    let [api, worker] = api_and_worker(&database, &sink, "60 s", "true");
    let (api, _worker) = (api.start(), worker.launch());
    let client = api.client().with_key("re_ph_dev");
    let listens = || (listeners(&database) == 1).then_some(());
    eventually("the worker listens", 20 * SECOND, listens);
    let longest = longest_wait(&client, &sink, 10);
    assert!(longest < SECOND, "{longest:?}");
    let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
         WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    ask(&database, end);
    eventually("the worker listens again", 20 * SECOND, listens);
    let longest = longest_wait(&client, &sink, 5);
    assert!(longest < SECOND, "{longest:?}");
}

/// I37. Without hints the poll finds everything.
#[test]
fn without_hints_the_poll_finds_what_another_node_accepts() {
    let (Some(sink), Some(database)) = (Sink::start(), new_database()) else {
        return;
    };
    let [api, worker] = api_and_worker(&database, &sink, "300 ms", "false");
    let (api, _worker) = (api.start(), worker.launch());
    let client = api.client().with_key("re_ph_dev");
    longest_wait(&client, &sink, 3);
    assert_eq!(listeners(&database), 0);
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

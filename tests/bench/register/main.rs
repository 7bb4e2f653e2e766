//! Whether registering waits for the mail: the time of its answer while the SMTP server takes every mail at once, beside
//! the same while it takes five seconds for each. The two are run in turn, and their ratio is the figure.
//!
//! `cargo bench -p posthaste-api --bench register`

#![expect(clippy::print_stdout, reason = "the report of a benchmark")]

use std::time::{Duration, Instant};

use serde_json::json;
use support::{
    desk::Desk,
    sink::{Answer, Sink, Stage},
};

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../support/mod.rs"]
mod support;

const PAIRS: usize = 5;
const CLIENTS: usize = 4;
const REGISTRATIONS: usize = 100;
const SLOW: Duration = Duration::from_secs(5);

fn main() {
    let Some(mut sink) = Sink::start() else {
        println!("skipped: no Python with aiosmtpd (tests/run installs it)");
        return;
    };
    let mut ratios = (Vec::new(), Vec::new());
    println!("{CLIENTS} clients, {REGISTRATIONS} registrations a run; times of the answer in ms");
    println!("   quick p50    p99    slow p50    p99    ratio p50   p99");
    for _ in 0..PAIRS {
        sink.answer(Stage::Dot, "*", &[Answer::Say("250 2.0.0 ok")]);
        let quick = run(&sink);
        sink.answer(Stage::Dot, "*", &[Answer::Late(SLOW, "250 2.0.0 ok")]);
        let slow = run(&sink);
        let (p50, p99) = (slow.0 / quick.0, slow.1 / quick.1);
        println!(
            "{:>12.1} {:>6.1} {:>11.1} {:>6.1} {p50:>12.2} {p99:>5.2}",
            quick.0, quick.1, slow.0, slow.1
        );
        ratios.0.push(p50);
        ratios.1.push(p99);
        // A fresh server: the slow one still holds the last mails.
        sink.resume();
    }
    println!(
        "median ratio slow to quick: p50 {:.2}, p99 {:.2}",
        median(ratios.0),
        median(ratios.1)
    );
}

/// The median and the 99th percentile of the answers, in ms.
fn run(sink: &Sink) -> (f64, f64) {
    let desk = Desk::new()
        .set("transports.relay.kind", "smtp")
        .set("transports.relay.host", "127.0.0.1")
        .set("transports.relay.port", sink.port().to_string())
        .set("transports.relay.tls", "none")
        .set("streams.transactional.transport", "relay")
        .set("log.filter", "warn,posthaste_api::server=info");
    let mut server = desk.start();
    let mut times: Vec<f64> = std::thread::scope(|scope| {
        let client = |number: usize| {
            let client = server.client();
            scope.spawn(move || {
                let register = |turn: usize| {
                    let email = format!("person{number}.{turn}@example.com");
                    let body = json!({"email": email, "password": "correct horse battery"});
                    let began = Instant::now();
                    client.post("/api/users/register", &body).expect(201);
                    began.elapsed().as_secs_f64() * 1000.0
                };
                (0..REGISTRATIONS / CLIENTS)
                    .map(register)
                    .collect::<Vec<_>>()
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        let times = clients.into_iter().map(|client| client.join());
        times
            .flat_map(|times| times.expect("everybody is answered"))
            .collect()
    });
    server.kill();
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

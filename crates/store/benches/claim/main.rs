//! Whether the queue stays as fast as it was (P9): a batch of 100 claimed and settled, and 100 mails accepted, with few
//! and many jobs pending, without and with a history of finished mail, on each database; and on PostgreSQL a batch
//! beside a transaction that somebody has left open.
//!
//! All states exist at the same time and take turns, so that whatever else the machine does hits them alike; the figure
//! is the ratio of the slowest to the fastest median. `cargo bench -p posthaste-store --bench claim`, with
//! `TEST_DATABASE_URL` on PostgreSQL too; `POSTHASTE_TEST_LONG=1` for the full figures, which take some gigabytes; one of
//! both parts alone with `-- flat` or `-- old_snapshot`.

mod history;
mod old_snapshot;
mod yard;

use std::time::Duration;

use yard::{BATCH, Server, Yard};

/// One state of the tables.
struct State {
    pending: usize,
    /// Finished mails, of four rows each.
    finished: u64,
}

const SHORT: &[State] = &[
    State {
        pending: 1000,
        finished: 0,
    },
    State {
        pending: 20_000,
        finished: 0,
    },
    State {
        pending: 1000,
        finished: 50_000,
    },
];
const FULL: &[State] = &[
    State {
        pending: 1000,
        finished: 0,
    },
    State {
        pending: 100_000,
        finished: 0,
    },
    State {
        pending: 1_000_000,
        finished: 0,
    },
    State {
        pending: 1000,
        finished: 5_000_000,
    },
    State {
        pending: 100_000,
        finished: 5_000_000,
    },
];
const ROUNDS: usize = 60;

/// The names of both parts.
const PARTS: [&str; 2] = ["flat", "old_snapshot"];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let part = arguments.find(|argument| !argument.starts_with('-'));
    if let Some(unknown) = part.as_ref().filter(|part| !PARTS.contains(&&***part)) {
        print(&format!(
            "no part is called {unknown:?}: {}",
            PARTS.join(", ")
        ));
        std::process::exit(2);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("two threads can be had");
    runtime.block_on(async {
        let long = variable("POSTHASTE_TEST_LONG").is_some();
        let states = if long { FULL } else { SHORT };
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut servers = vec![Server::File(folder.path().to_owned())];
        match variable("TEST_DATABASE_URL") {
            Some(url) => servers.push(Server::Postgres(url)),
            None => print("skipped: PostgreSQL (TEST_DATABASE_URL is not set)"),
        }
        let is_wanted = |name| part.as_deref().is_none_or(|part| part == name);
        for server in &servers {
            if is_wanted(PARTS[0]) {
                flat(server, states).await;
            }
            if is_wanted(PARTS[1])
                && let Server::Postgres(_) = server
            {
                let jobs = if long { 200_000 } else { 20_000 };
                old_snapshot::measure(server, jobs).await;
            }
        }
    });
}

/// The states in turn.
async fn flat(server: &Server, states: &[State]) {
    let mut yards = Vec::new();
    for state in states {
        let yard = Yard::on(server).await;
        if state.finished > 0 {
            history::fill(&yard, state.finished).await;
        }
        yard.push(state.pending).await;
        yard.settled_down().await;
        yards.push((state, yard, Times::default(), Times::default()));
    }
    for _ in 0..ROUNDS {
        for (_, yard, claims, accepts) in &mut yards {
            claims.add(yard.claim_and_settle().await);
            // As many come as went, so that the state stays what it is.
            accepts.add(yard.accept().await);
        }
    }
    print(&format!(
        "\n{server}: ms a batch of {BATCH}, medians (p95) of {ROUNDS} rounds\n{:>10} {:>10} {:>22} {:>22}",
        "pending", "finished", "claim and settle", "accept"
    ));
    for (state, _, claims, accepts) in &yards {
        print(&format!(
            "{:>10} {:>10} {claims:>22} {accepts:>22}",
            state.pending, state.finished
        ));
    }
    print(&format!(
        "{:>21} {:>22.2} {:>22.2}",
        "slowest / fastest",
        ratio(yards.iter().map(|(_, _, claims, _)| claims)),
        ratio(yards.iter().map(|(_, _, _, accepts)| accepts)),
    ));
    for (_, yard, ..) in yards {
        yard.remove().await;
    }
}

fn ratio<'a>(all: impl Iterator<Item = &'a Times>) -> f64 {
    let mut medians: Vec<_> = all.map(|times| times.at(50)).collect();
    medians.sort_by(f64::total_cmp);
    match (medians.first(), medians.last()) {
        (Some(fastest), Some(slowest)) => slowest / fastest,
        _ => f64::NAN,
    }
}

/// Times of batches, in milliseconds.
#[derive(Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1000.0);
    }

    pub(crate) fn at(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted
            .get(last * percent / 100)
            .copied()
            .unwrap_or(f64::NAN)
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{:.2} ({:.2})", self.at(50), self.at(95)))
    }
}

#[expect(clippy::print_stdout, reason = "a bench reports to its terminal")]
pub(crate) fn print(line: &str) {
    println!("{line}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "switches of the bench, not settings of the program"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

//! Kills and stops under load, with the accounts of both ends compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use crate::{
    load::{History, Load},
    support::{desk::Desk, eventually::eventually, figures::figure, sink::Sink},
};

const SECOND: Duration = Duration::from_secs(1);
const CLIENTS: usize = 4;

fn desk(sink: &Sink) -> Desk {
    Desk::new()
        .set("transports.relay.kind", "smtp")
        .set("transports.relay.host", "127.0.0.1")
        .set("transports.relay.port", sink.port().to_string())
        .set("transports.relay.tls", "none")
        .set("streams.transactional.transport", "relay")
        .set("streams.transactional.retry", "300 ms")
        .set("log.filter", "warn,posthaste_api::server=info")
}

/// What both ends say at the end.
struct Account {
    lost: Vec<String>,
    unexpected: Vec<String>,
    /// Copies beyond the first, all with the first one's bytes.
    duplicates: usize,
}

/// Compares what the clients were told with what the sink took.
fn account(history: &History, sink: &Sink) -> Account {
    let mut copies: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    let mut count = 0;
    for taken in sink.history() {
        count += 1;
        copies
            .entry(taken.recipient)
            .or_default()
            .insert((taken.message_id, taken.sha256));
    }
    for (recipient, bytes) in &copies {
        assert_eq!(bytes.len(), 1, "{recipient} got different mails: {bytes:?}");
    }
    for (recipient, id) in &history.acknowledged {
        if let Some((message_id, _)) = copies.get(recipient).and_then(|bytes| bytes.first()) {
            assert!(
                message_id.contains(id.as_str()),
                "{recipient} was promised {id} and got {message_id}"
            );
        }
    }
    let is_lost = |(recipient, _): &&(String, String)| !copies.contains_key(recipient);
    Account {
        lost: history
            .acknowledged
            .iter()
            .filter(is_lost)
            .map(|(recipient, _)| recipient.clone())
            .collect(),
        unexpected: copies
            .keys()
            .filter(|recipient| !history.submitted.contains(*recipient))
            .cloned()
            .collect(),
        duplicates: count - copies.len(),
    }
}

fn drained(history: &Mutex<History>, sink: &Sink) {
    eventually("everything acknowledged is delivered", 60 * SECOND, || {
        let account = account(&history.lock().expect("no client panicked"), sink);
        account.lost.is_empty().then_some(())
    });
}

/// Shown with a failure, and with `--nocapture`.
#[expect(
    clippy::print_stdout,
    reason = "the test runner keeps it for the report"
)]
fn tell(line: &str) {
    println!("{line}");
}

/// R1, P1, P2. Kill -9 at random moments while mails are accepted and sent: nothing acknowledged is missing afterwards,
/// nothing unexpected was sent, and a copy bears the same `Message-ID` and bytes.
#[test]
fn nothing_acknowledged_is_lost_by_kills_at_random_moments() {
    let Some(sink) = Sink::start() else { return };
    let desk = desk(&sink);
    let kills = figure(5, 200);
    let (numbers, history) = (
        Arc::new(AtomicU64::new(1)),
        Arc::new(Mutex::new(History::default())),
    );
    let mut in_flight = 0;
    for kill in 0..kills {
        let mut server = desk.start();
        let load = Load::start(
            &server.client().with_key("re_ph_dev"),
            CLIENTS,
            &numbers,
            &history,
        );
        let before = load.acknowledged();
        // The moment is drawn in submits, not in seconds: somewhere in the middle of work on any machine.
        let moment = before + 20 + usize::from(uuid::Uuid::new_v4().as_bytes()[0]);
        tell(&format!("kill {kill} after {moment} acknowledged"));
        eventually("mails are accepted", 30 * SECOND, || {
            (load.acknowledged() >= moment).then_some(())
        });
        server.kill();
        load.finish();
        in_flight += 28;
    }
    let server = desk.start();
    drained(&history, &sink);
    let history = history.lock().expect("no client panicked");
    let account = account(&history, &sink);
    tell(&format!(
        "{} acknowledged, {} submitted, {} duplicates, {kills} kills",
        history.acknowledged.len(),
        history.submitted.len(),
        account.duplicates
    ));
    assert_eq!((account.lost, account.unexpected), (Vec::new(), Vec::new()));
    assert!(
        account.duplicates <= in_flight,
        "{} duplicates",
        account.duplicates
    );
    drop(server);
}

/// R17, P8. SIGTERM under load: exit code 0 within the budget, nothing lost, nothing doubled.
#[test]
fn stops_under_load_lose_nothing_and_double_nothing() {
    let Some(sink) = Sink::start() else { return };
    let desk = desk(&sink);
    let (numbers, history) = (
        Arc::new(AtomicU64::new(1)),
        Arc::new(Mutex::new(History::default())),
    );
    for _ in 0..figure(4, 50) {
        let mut server = desk.start();
        let load = Load::start(
            &server.client().with_key("re_ph_dev"),
            CLIENTS,
            &numbers,
            &history,
        );
        let moment = load.acknowledged() + 100;
        eventually("mails are accepted", 30 * SECOND, || {
            (load.acknowledged() >= moment).then_some(())
        });
        server.terminate();
        assert_eq!(
            server.wait(30 * SECOND).code(),
            Some(0),
            "{}",
            server.stderr()
        );
        load.finish();
    }
    let server = desk.start();
    drained(&history, &sink);
    let history = history.lock().expect("no client panicked");
    let account = account(&history, &sink);
    tell(&format!(
        "{} acknowledged, {} submitted",
        history.acknowledged.len(),
        history.submitted.len()
    ));
    assert_eq!((account.lost, account.unexpected), (Vec::new(), Vec::new()));
    assert_eq!(account.duplicates, 0);
    drop(server);
}

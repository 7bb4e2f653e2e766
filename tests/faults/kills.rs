//! Kills and stops under load, with the accounts of both ends compared.

use std::{
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use crate::{
    account::{desk, drained, drawn_below, node, tell},
    load::{History, Load},
    support::{
        desk::Desk, eventually::eventually, figures::figure, postgres::new_database, sink::Sink,
    },
};

const SECOND: Duration = Duration::from_secs(1);
const CLIENTS: usize = 4;

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
        let moment = before + 20 + drawn_below(256);
        tell(&format!("kill {kill} after {moment} acknowledged"));
        eventually("mails are accepted", 30 * SECOND, || {
            (load.acknowledged() >= moment).then_some(())
        });
        server.kill();
        load.finish();
        in_flight += 28;
    }
    let server = desk.start();
    let account = drained(&history, &sink, 60 * SECOND);
    let history = history.lock().expect("no client panicked");
    tell(&format!(
        "{} acknowledged, {} submitted, {} duplicates, {kills} kills",
        history.acknowledged.len(),
        history.submitted.len(),
        account.duplicates()
    ));
    assert_eq!(account.unexpected, Vec::<String>::new());
    assert!(
        account.duplicates() <= in_flight,
        "{} duplicates",
        account.duplicates()
    );
    drop(server);
}

/// R17, P8. SIGTERM under load: exit code 0 within the budget, nothing lost, nothing doubled.
#[test]
fn stops_under_load_lose_nothing_and_double_nothing() {
    let Some(sink) = Sink::start() else { return };
    stops(&desk(&sink), &sink);
}

/// R17, P8. The same on PostgreSQL, where another start could take the work for its own.
#[test]
fn stops_under_load_on_postgresql_lose_nothing_and_double_nothing() {
    let (Some(sink), Some(database)) = (Sink::start(), new_database()) else {
        return;
    };
    stops(&node(&database, &sink, "api,worker,scheduler"), &sink);
}

fn stops(desk: &Desk, sink: &Sink) {
    let (numbers, history) = (
        Arc::new(AtomicU64::new(1)),
        Arc::new(Mutex::new(History::default())),
    );
    for _ in 0..figure(5, 50) {
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
    let account = drained(&history, sink, 60 * SECOND);
    let history = history.lock().expect("no client panicked");
    tell(&format!(
        "{} acknowledged, {} submitted",
        history.acknowledged.len(),
        history.submitted.len()
    ));
    assert_eq!(account.unexpected, Vec::<String>::new());
    assert_eq!(account.duplicates(), 0);
    drop(server);
}

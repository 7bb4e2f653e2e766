//! A PostgreSQL server that goes and comes back under load.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::{
    account::{drained, drawn_below, node, tell},
    load::{Doors, History, Load},
    support::{
        eventually::eventually,
        figures::figure,
        postgres::{Server, Shutdown, ask},
        process::Process,
        sink::{Answer, Sink, Stage},
    },
};

const SECOND: Duration = Duration::from_secs(1);
/// Between two submits: well below what the nodes can send, so that new mail waits behind no backlog.
const PACE: Duration = Duration::from_millis(50);

/// Between the taking of a mail and the reply that says so, so that there are ends to be recorded in each outage.
const REPLY: Answer = Answer::Late(Duration::from_millis(150), "250 2.0.0 ok");

/// All sessions of the database but the one that asks.
const END_CONNECTIONS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
     WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// R10, P1, I32. The database is restarted, fast and on the spot, and its connections are ended, under load: no node
/// exits, clients are answered 200 or 503, a mail that is accepted once the database is back is delivered within five
/// seconds, nothing is lost, and no reply of the database that never came sends a mail twice.
#[test]
fn a_database_that_goes_and_comes_back_loses_nothing_and_work_goes_on() {
    let (Some(mut sink), Some(mut server)) = (Sink::start(), Server::start()) else {
        return;
    };
    sink.answer(Stage::Taken, "*", &[REPLY]);
    let database = server.new_database();
    let desks = ["api,worker,scheduler", "api,worker"].map(|roles| node(&database, &sink, roles));
    let doors = Doors::default();
    let mut nodes: Vec<_> = desks.iter().map(|desk| desk.start()).collect();
    for (place, node) in nodes.iter().enumerate() {
        doors.open(place, node.client().with_key("re_ph_dev"));
    }
    let history = Arc::new(Mutex::new(History::default()));
    let load = Load::paced(&doors, PACE, &history);
    let mut slowest = Duration::ZERO;
    for round in 0..figure(3, 30) {
        let moment = load.acknowledged() + 20 + drawn_below(40);
        eventually("mails are accepted", 30 * SECOND, || {
            (load.acknowledged() >= moment).then_some(())
        });
        let how = [Some(Shutdown::Fast), Some(Shutdown::Immediate), None][round % 3];
        if let Some(how) = how {
            // A mail was taken just now and its reply is under way, so that its end meets no database.
            let (taken, before) = (sink.history().len(), unsettled(&nodes));
            eventually("a mail is taken", 10 * SECOND, || {
                (sink.history().len() > taken).then_some(())
            });
            server.stop(how);
            eventually("an end cannot be recorded", 30 * SECOND, || {
                (unsettled(&nodes) > before).then_some(())
            });
            server.resume();
        } else {
            ask(&database, END_CONNECTIONS);
        }
        let (back, before) = (Instant::now(), acknowledged(&history));
        eventually("work goes on", 5 * SECOND, || {
            let is_new = |to: &String| !before.contains(to);
            let taken = sink.history();
            let arrived = taken.iter().rev().take(200).map(|taken| &taken.recipient);
            let mut arrived = arrived.filter(|to| is_new(to));
            let acknowledged = acknowledged(&history);
            arrived.any(|to| acknowledged.contains(to)).then_some(())
        });
        tell(&format!("round {round}: after {:?}", back.elapsed()));
        slowest = slowest.max(back.elapsed());
        for node in &mut nodes {
            assert!(node.is_running(), "{}", node.stderr());
        }
    }
    load.finish();
    drained(&history, &sink, 60 * SECOND);
    eventually("every end is recorded", 60 * SECOND, || {
        (ask(&database, "SELECT count(*) FROM jobs") == "0").then_some(())
    });
    let account = drained(&history, &sink, SECOND);
    let history = history.lock().expect("no client panicked");
    tell(&format!(
        "{} acknowledged, answers {:?}, {} duplicates, went on after {slowest:?} at the latest",
        history.acknowledged.len(),
        history.statuses,
        account.duplicates()
    ));
    assert_eq!(account.unexpected, Vec::<String>::new());
    assert_eq!(account.duplicates(), 0);
    let mut answers = history.statuses.keys();
    assert!(
        answers.all(|status| matches!(status, Some(200 | 503))),
        "{:?}",
        history.statuses
    );
    for node in &mut nodes {
        node.terminate();
        assert_eq!(node.wait(30 * SECOND).code(), Some(0), "{}", node.stderr());
    }
}

/// How often the nodes could not record what became of a mail.
fn unsettled(nodes: &[Process]) -> usize {
    let told = |node: &Process| node.stderr().matches("settling failed").count();
    nodes.iter().map(told).sum()
}

fn acknowledged(history: &Mutex<History>) -> std::collections::BTreeSet<String> {
    let history = history.lock().expect("no client panicked");
    history
        .acknowledged
        .iter()
        .map(|(to, _)| to.clone())
        .collect()
}

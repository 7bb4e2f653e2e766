//! The accounts of both ends: what the clients were told, and what the SMTP server took.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};

use crate::{
    load::History,
    support::{desk::Desk, eventually::eventually, sink::Sink},
};

/// An installation that sends to `sink`.
pub(crate) fn desk(sink: &Sink) -> Desk {
    Desk::sending_to(sink)
        .set("streams.transactional.retry", "300 ms")
        .set("log.filter", "warn,posthaste_api::server=info")
}

/// One of several nodes on a PostgreSQL database, with its part of the work.
pub(crate) fn node(database: &str, sink: &Sink, roles: &str) -> Desk {
    desk(sink).on(database, roles)
}

/// What both ends say at the end.
pub(crate) struct Account {
    pub(crate) lost: Vec<String>,
    pub(crate) unexpected: Vec<String>,
    /// Copies of the mails that were taken, all with the first one's bytes.
    pub(crate) copies: BTreeMap<String, usize>,
}

impl Account {
    /// Compares what the clients were told with what the sink took.
    pub(crate) fn of(history: &History, sink: &Sink) -> Self {
        let mut taken: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
        let mut copies: BTreeMap<String, usize> = BTreeMap::new();
        for copy in sink.history() {
            *copies.entry(copy.recipient.clone()).or_default() += 1;
            taken
                .entry(copy.recipient)
                .or_default()
                .insert((copy.message_id, copy.sha256));
        }
        for (recipient, bytes) in &taken {
            assert_eq!(bytes.len(), 1, "{recipient} got different mails: {bytes:?}");
        }
        for (recipient, id) in &history.acknowledged {
            if let Some((message_id, _)) = taken.get(recipient).and_then(|bytes| bytes.first()) {
                assert!(
                    message_id.contains(id.as_str()),
                    "{recipient} was promised {id} and got {message_id}"
                );
            }
        }
        let is_lost = |(recipient, _): &&(String, String)| !copies.contains_key(recipient);
        Self {
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
            copies,
        }
    }

    /// Copies beyond the first.
    pub(crate) fn duplicates(&self) -> usize {
        self.copies.values().map(|copies| copies - 1).sum()
    }
}

/// Waits until everything acknowledged has arrived, and gives the account.
#[track_caller]
pub(crate) fn drained(history: &Mutex<History>, sink: &Sink, within: Duration) -> Account {
    eventually("everything acknowledged is delivered", within, || {
        let account = Account::of(&history.lock().expect("no client panicked"), sink);
        account.lost.is_empty().then_some(account)
    })
}

/// Shown with a failure, and with `--nocapture`.
#[expect(
    clippy::print_stdout,
    reason = "the test runner keeps it for the report"
)]
pub(crate) fn tell(line: &str) {
    println!("{line}");
}

/// A number that is drawn anew each time, from a whole number below 256.
pub(crate) fn drawn_below(limit: usize) -> usize {
    usize::from(uuid::Uuid::new_v4().as_bytes()[0]) * limit / 256
}

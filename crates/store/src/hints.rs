//! Hints between the nodes on one PostgreSQL database: whoever stores ready work tells the workers elsewhere, which then
//! look at once instead of at their next poll.
//!
//! A hint is no promise. It is sent outside the transaction of the work, on a connection of its own, for a transaction
//! that notifies holds a lock on the whole server while it commits; it is sent at most twenty times a second, whatever
//! there is to tell; and one that is lost costs no more than a poll.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use posthaste_queue::{Handover, Lane};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr,
    sqlx::{self, Executor, postgres::PgListener},
};
use tokio::{sync::Notify, time::timeout};
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::{connect::Postgres, sql::statement};

/// The channel; each database has its own of this name.
const CHANNEL: &str = "posthaste_work";
/// Between two hints of one node.
const APART: Duration = Duration::from_millis(50);
/// Longest wait for the server.
const PATIENCE: Duration = Duration::from_secs(10);
/// After how long without a hint the listener asks whether its connection is still one.
const QUIET: Duration = Duration::from_secs(30);
/// Before a lost connection is made again.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest text of a hint that names its lanes; the server takes less than 8,000 bytes. A longer one means all lanes.
const LONGEST: usize = 7000;

/// Whom to tell that work waits: the worker of this process, and those elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Notices {
    handover: Arc<OnceLock<Arc<Handover>>>,
    hints: Option<Hints>,
}

impl Notices {
    pub(crate) fn new(hints: Option<Hints>) -> Self {
        Self {
            handover: Arc::default(),
            hints,
        }
    }

    /// The worker of this process, if there is one.
    pub(crate) fn handover(&self) -> Option<&Arc<Handover>> {
        self.handover.get()
    }

    /// From now on there is one; `false` if there was one before.
    pub(crate) fn set_handover(&self, handover: Arc<Handover>) -> bool {
        self.handover.set(handover).is_ok()
    }

    /// Ready work of these lanes was committed.
    pub(crate) fn work_waits(&self, lanes: &[Lane]) {
        if let Some(handover) = self.handover() {
            lanes.iter().for_each(|lane| handover.work_waits(lane));
        }
        if let Some(hints) = &self.hints {
            hints.raise(lanes);
        }
    }
}

/// What one node has to tell the others.
#[derive(Debug, Clone)]
pub(crate) struct Hints(Arc<Raised>);

#[derive(Debug)]
struct Raised {
    /// Which hints are this node's own, and tell it nothing.
    node: Uuid,
    lanes: Mutex<BTreeSet<Lane>>,
    news: Notify,
}

impl Hints {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Raised {
            node: Uuid::new_v4(),
            lanes: Mutex::default(),
            news: Notify::new(),
        }))
    }

    fn raise(&self, lanes: &[Lane]) {
        if lanes.is_empty() {
            return;
        }
        let mut raised = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        for lane in lanes {
            if !raised.contains(lane) {
                raised.insert(lane.clone());
            }
        }
        drop(raised);
        self.0.news.notify_one();
    }

    fn take(&self) -> BTreeSet<Lane> {
        let mut raised = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *raised)
    }

    /// Sends what is raised, until dropped.
    pub(crate) async fn send(self, postgres: Postgres) {
        let mut connection = None;
        let mut healthy = true;
        loop {
            self.0.news.notified().await;
            // Taken before it is sent: what is raised from here on is sent again.
            let lanes = self.take();
            if lanes.is_empty() {
                continue;
            }
            let text = written(self.0.node, &lanes);
            let sent = timeout(PATIENCE, notify(&postgres, &mut connection, text)).await;
            match sent {
                Ok(Ok(())) => {
                    if !healthy {
                        info!("hints to other nodes are sent again");
                    }
                    healthy = true;
                }
                Ok(Err(_)) | Err(_) => {
                    // Not sent again: by the time it could be, the others have polled.
                    connection = None;
                    if healthy {
                        warn!("hints to other nodes are not sent; they find work at their polls");
                    }
                    healthy = false;
                }
            }
            tokio::time::sleep(APART).await;
        }
    }

    /// Tells the worker of this process what other nodes have sent, until dropped. A connection that is lost is made
    /// again, and what may have been missed meanwhile is looked for.
    pub(crate) async fn listen(self, postgres: Postgres, handover: Arc<Handover>) {
        let mut healthy = true;
        loop {
            let heard = async {
                let mut listener = timeout(PATIENCE, listener(&postgres)).await.ok()?.ok()?;
                if !healthy {
                    info!("hints from other nodes are heard again");
                }
                healthy = true;
                handover.work_may_wait();
                self.hear(&mut listener, &handover).await;
                Some(())
            };
            heard.await;
            if healthy {
                warn!("hints from other nodes are not heard; work is found at the polls");
            }
            healthy = false;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Returns when the connection is lost.
    async fn hear(&self, listener: &mut PgListener, handover: &Handover) {
        loop {
            match timeout(QUIET, listener.try_recv()).await {
                Ok(Ok(Some(hint))) => match read(hint.payload()) {
                    Some((node, _)) if node == self.0.node => {}
                    Some((_, Some(lanes))) => {
                        lanes.iter().for_each(|lane| handover.work_waits(lane));
                    }
                    // Of all lanes, or of another release.
                    Some((_, None)) | None => handover.work_may_wait(),
                },
                Ok(Ok(None) | Err(_)) => return,
                Err(_quiet) => {
                    let asked = timeout(PATIENCE, listener.execute("SELECT 1")).await;
                    if !matches!(asked, Ok(Ok(_))) {
                        debug!("the listening connection does not answer");
                        return;
                    }
                }
            }
        }
    }
}

async fn listener(postgres: &Postgres) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect(postgres.url()).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

async fn notify(
    postgres: &Postgres,
    connection: &mut Option<DatabaseConnection>,
    text: String,
) -> Result<(), DbErr> {
    // Taken out: one with a statement under way is not used again.
    let open = match connection.take() {
        Some(open) => open,
        None => postgres.single(PATIENCE).await?,
    };
    let values = [CHANNEL.into(), text.into()];
    let notify = statement(DbBackend::Postgres, "SELECT pg_notify(?, ?)", values);
    open.execute_raw(notify).await?;
    *connection = Some(open);
    Ok(())
}

/// The node and its lanes, a line each: no lane has a line break.
fn written(node: Uuid, lanes: &BTreeSet<Lane>) -> String {
    let mut text = node.to_string();
    for lane in lanes {
        text.push('\n');
        text.push_str(lane.as_str());
    }
    if text.len() > LONGEST {
        text = node.to_string();
    }
    text
}

/// Who sent it, and which lanes it names, if any.
fn read(text: &str) -> Option<(Uuid, Option<Vec<Lane>>)> {
    let mut lines = text.split('\n');
    let node = lines.next()?.parse().ok()?;
    let lanes = lines.map(str::parse).collect::<Result<Vec<_>, _>>().ok()?;
    Some((node, Some(lanes).filter(|lanes| !lanes.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(names: &[&str]) -> BTreeSet<Lane> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_hint_is_read_as_it_was_written() {
        let node = Uuid::from_u128(7);
        let check = |names: &[&str]| {
            let text = written(node, &lanes(names));
            let named = Some(lanes(names).into_iter().collect::<Vec<_>>());
            assert_eq!(read(&text), Some((node, named.filter(|n| !n.is_empty()))));
        };
        check(&[]);
        check(&["otp"]);
        check(&["a lane, with blanks", "otp", "transactional"]);
        assert_eq!(read("what another release sends"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn a_hint_of_too_many_lanes_means_all_of_them() {
        let names: BTreeSet<Lane> = (0..500)
            .map(|n| format!("a lane of some length {n}").parse().unwrap())
            .collect();
        let text = written(Uuid::from_u128(7), &names);
        assert!(text.len() < 8000);
        assert_eq!(read(&text), Some((Uuid::from_u128(7), None)));
    }
}

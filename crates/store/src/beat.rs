//! The beats of a node on PostgreSQL: a counter raised every second, from a thread, a runtime and a connection of their
//! own, so that neither a crowd of renderings nor a busy writer makes a live node look dead (I6).
//!
//! The other way round, a node whose main runtime hangs must not look alive: without a tick of it for a minute the beats
//! end, and the process with them.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use posthaste_queue::{
    BootId, ControlVersion, Controls, Pulse,
    pulse::{BEAT, FRESH},
};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr};
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tracing::{error, info, warn};

use crate::{connect::Postgres, operate, sql::statement};

/// Longest wait for a beat to be confirmed; the next one is sent then.
const PATIENCE: Duration = Duration::from_secs(2);
/// Beats without a tick of the main runtime before the process is ended.
const SILENCE: u64 = 60;

/// Beats until it is dropped.
pub(crate) struct Beats {
    _alive: watch::Sender<()>,
    _ticking: JoinSet<()>,
}

impl Beats {
    /// Beats for the node `boot`, which has joined.
    pub(crate) fn start(
        postgres: Postgres,
        boot: BootId,
        pulse: Pulse,
        controls: Controls,
    ) -> io::Result<Self> {
        let (alive, dropped) = watch::channel(());
        let ticks = Arc::new(AtomicU64::new(0));
        let mut ticking = JoinSet::new();
        ticking.spawn(tick(Arc::clone(&ticks)));
        let beating = Beating {
            postgres,
            boot,
            pulse,
            controls,
            ticks,
            dropped,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("beats".to_owned())
            .spawn(move || runtime.block_on(beating.run()))?;
        Ok(Self {
            _alive: alive,
            _ticking: ticking,
        })
    }
}

/// Shows that the runtime of the process turns.
async fn tick(ticks: Arc<AtomicU64>) {
    loop {
        ticks.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(BEAT).await;
    }
}

struct Beating {
    postgres: Postgres,
    boot: BootId,
    pulse: Pulse,
    controls: Controls,
    ticks: Arc<AtomicU64>,
    dropped: watch::Receiver<()>,
}

impl Beating {
    async fn run(mut self) {
        let mut connection = None;
        let mut watch = Watch::default();
        let mut lost_since: Option<Instant> = None;
        loop {
            let sent = Instant::now();
            if watch.is_silent(self.ticks.load(Ordering::Relaxed)) {
                error!("the runtime of this process has not turned for a minute; ending it");
                std::process::abort();
            }
            let beat = tokio::time::timeout(PATIENCE, self.beat(&mut connection)).await;
            match beat {
                Ok(Ok(Beat::Confirmed(switched))) => {
                    self.pulse.confirm(sent);
                    if let Some(since) = lost_since.take() {
                        info!(node = %self.boot, after_ms = since.elapsed().as_millis(), "beats are confirmed again");
                    }
                    if switched == Switched::Now {
                        // Whoever switched waits for this node to show it.
                        continue;
                    }
                }
                Ok(Ok(Beat::Dead)) => return self.pulse.die(),
                Ok(Err(_)) | Err(_) => {
                    // A connection with a statement under way is not used again.
                    connection = None;
                    if lost_since.is_none() {
                        warn!(node = %self.boot, "a beat was not confirmed; without one this node starts nothing after {} s", FRESH.as_secs());
                        lost_since = Some(sent);
                    }
                }
            }
            let next = sent + BEAT;
            tokio::select! {
                _ = self.dropped.changed() => return,
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Raises the counter, shows by what this node acts, and takes over what operators have switched since.
    async fn beat(&self, connection: &mut Option<DatabaseConnection>) -> Result<Beat, DbErr> {
        let open = match connection.take() {
            Some(open) => open,
            None => self.postgres.single(PATIENCE).await?,
        };
        let known = self.controls.version();
        let raise = statement(
            DbBackend::Postgres,
            "UPDATE nodes SET beat = beat + 1, controls = ? WHERE boot_id = ? AND left_at IS NULL \
             RETURNING (SELECT version FROM controls)",
            [known.0.into(), self.boot.as_uuid().into()],
        );
        let Some(row) = open.query_one_raw(raise).await? else {
            return Ok(Beat::Dead);
        };
        let version: Option<i64> = row.try_get_by_index(0)?;
        let mut switched = Switched::Not;
        if version.is_some_and(|version| ControlVersion(version) > known) {
            let (version, paused) = operate::switched(&open, DbBackend::Postgres).await?;
            info!(node = %self.boot, ?paused, "operators have switched lanes");
            self.controls.apply(version, paused);
            switched = Switched::Now;
        }
        *connection = Some(open);
        Ok(Beat::Confirmed(switched))
    }
}

/// What became of a beat.
enum Beat {
    Confirmed(Switched),
    /// There is no such node any more.
    Dead,
}

/// Whether operators have switched something since the last beat.
#[derive(PartialEq, Eq)]
enum Switched {
    Now,
    Not,
}

/// Whether the main runtime turns, by the ticks seen at each beat.
#[derive(Default)]
struct Watch {
    seen: u64,
    silent: u64,
}

impl Watch {
    fn is_silent(&mut self, ticks: u64) -> bool {
        if ticks == self.seen {
            self.silent += 1;
        } else {
            (self.seen, self.silent) = (ticks, 0);
        }
        self.silent >= SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I6.
    #[test]
    fn a_runtime_is_silent_after_a_minute_without_a_tick() {
        let mut watch = Watch::default();
        for ticks in 1..200 {
            assert!(!watch.is_silent(ticks));
        }
        assert!((1..60).all(|_| !watch.is_silent(199)));
        assert!(watch.is_silent(199));
        assert!(!watch.is_silent(200));
    }
}

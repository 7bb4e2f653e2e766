//! What time it is for the rows that are written. Where the database's own time counts, it is asked once a second and
//! counted on by the monotonic clock between: asking at each transaction would cost each a round trip, and a second is
//! less than any wait that is stored.

use std::time::{Duration, Instant};

use posthaste_domain::clock::{Clock, Steady, Timestamp, later};
use sea_orm::{DatabaseTransaction, DbErr};

use crate::connect::Connector;

/// How long an answer is counted on.
const FRESH: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The last answer, and when it came.
    set: Option<(Instant, Timestamp)>,
    steady: Steady,
}

/// What time it is, and whether it may be acted on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time {
    pub(super) now: Timestamp,
    /// Whether it has moved like monotonic time ([`Steady`]); where not, nothing is over yet.
    pub(super) steady: bool,
}

impl Watch {
    pub(super) async fn time(
        &mut self,
        connector: &Connector,
        txn: &DatabaseTransaction,
        clock: &dyn Clock,
    ) -> Result<Time, DbErr> {
        let now = self.now(connector, txn, clock).await?;
        let steady = self.steady.look(now, connector.monotonic(clock));
        Ok(Time { now, steady })
    }

    /// Whatever was known of a connection that is gone.
    pub(super) fn forget(&mut self) {
        self.set = None;
    }

    async fn now(
        &mut self,
        connector: &Connector,
        txn: &DatabaseTransaction,
        clock: &dyn Clock,
    ) -> Result<Timestamp, DbErr> {
        if let Connector::Sqlite(_) = connector {
            return Ok(clock.now());
        }
        if let Some(now) = self.shown() {
            return Ok(now);
        }
        let now = connector.now(txn, clock).await?;
        self.set = Some((Instant::now(), now));
        Ok(now)
    }

    /// The time by the last answer, while that is fresh.
    fn shown(&self) -> Option<Timestamp> {
        let (at, time) = self.set?;
        let since = at.elapsed();
        (since < FRESH).then(|| later(time, since))
    }
}

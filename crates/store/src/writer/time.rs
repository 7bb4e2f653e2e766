//! What time it is for the rows that are written. Where the database's own time counts, it is asked once a second and
//! counted on by the monotonic clock between: asking at each transaction would cost each a round trip, and a second is
//! less than any wait that is stored.

use std::time::{Duration, Instant};

use posthaste_domain::clock::{Clock, Timestamp, later};
use sea_orm::{DatabaseTransaction, DbErr};

use crate::connect::Connector;

/// How long an answer is counted on.
const FRESH: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The last answer, and when it came.
    set: Option<(Instant, Timestamp)>,
}

impl Watch {
    pub(super) async fn now(
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

//! [`TokenBuckets`] on the database: a row for each bucket, written once for as many tokens as are taken together.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use posthaste_domain::stores::{StoreError, Taken, TokenBuckets};
use posthaste_queue::Rate;
use sea_orm::{ConnectionTrait, DbErr};

use crate::{
    Store,
    convert::micros,
    sql::Words,
    writer::{AsyncWork, Unit},
};

impl Store {
    /// Buckets that fill at this rate, for all nodes together. Names are shared with buckets of other rates.
    #[must_use]
    pub fn buckets(self: &Arc<Self>, rate: Rate) -> Arc<dyn TokenBuckets> {
        Arc::new(Buckets {
            store: Arc::clone(self),
            rate,
        })
    }
}

struct Buckets {
    store: Arc<Store>,
    rate: Rate,
}

#[async_trait]
impl TokenBuckets for Buckets {
    fn interval(&self) -> Duration {
        self.rate.every()
    }

    async fn take(&self, bucket: &str, most: usize) -> Result<Taken, StoreError> {
        let take = Take {
            bucket: bucket.to_owned(),
            rate: self.rate,
            most,
        };
        Ok(self.store.writer.write(take).await?)
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets")
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

struct Take {
    bucket: String,
    rate: Rate,
    most: usize,
}

#[async_trait]
impl AsyncWork<Taken> for Take {
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<Taken, DbErr> {
        let bucket = || self.bucket.as_str().into();
        let enter =
            "INSERT INTO rates (bucket, spent_until) VALUES (?, 0) ON CONFLICT (bucket) DO NOTHING";
        unit.txn
            .execute_raw(unit.statement(enter, [bucket()]))
            .await?;
        let lock = format!(
            "SELECT spent_until FROM rates WHERE bucket = ?{}",
            unit.backend.for_update()
        );
        let row = unit
            .txn
            .query_one_raw(unit.statement(&lock, [bucket()]))
            .await?;
        let mut spent = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
        let now = micros(unit.now);
        let tokens = self.rate.available(spent, now).min(self.most);
        if tokens > 0 {
            spent = self.rate.spend(spent, now, tokens);
            let write = "UPDATE rates SET spent_until = ? WHERE bucket = ?";
            unit.txn
                .execute_raw(unit.statement(write, [spent.into(), bucket()]))
                .await?;
        }
        Ok(Taken {
            tokens,
            next_in: self.rate.next_in(spent, now),
        })
    }
}

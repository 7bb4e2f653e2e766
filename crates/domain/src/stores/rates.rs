//! Rates that hold for all nodes together.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::stores::StoreError;

/// Buckets that fill evenly at one rate, each by its name. A token that was taken is spent, whether it is used or not.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait TokenBuckets: Debug + Send + Sync + 'static {
    /// Between two tokens.
    fn interval(&self) -> Duration;

    /// Takes at most `most` tokens of those that there are.
    async fn take(&self, bucket: &str, most: usize) -> Result<Taken, StoreError>;
}

/// What a bucket gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// So many tokens.
    pub tokens: usize,
    /// How long until there is another one; none if there are more now.
    pub next_in: Duration,
}

//! One rate that all nodes keep together: tokens are taken from the store in blocks, and mails wait for them in line.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use posthaste_domain::stores::TokenBuckets;
use tokio::time::{Instant, sleep};

use super::Wait;

/// A mail whose turn comes within this time waits for it with its executor; one of later gives that back.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the tokens of a block may be used: as long as a bucket saves them.
const BLOCK: Duration = Duration::from_millis(100);
/// While the store cannot be asked, nothing is sent for so long.
const WITHOUT_STORE: Duration = Duration::from_secs(30);

/// The line before one bucket.
pub(super) struct Pace {
    buckets: Arc<dyn TokenBuckets>,
    bucket: String,
    block: tokio::sync::Mutex<Block>,
    waiting: AtomicUsize,
    turns: Turns,
}

/// Tokens that were taken and not used yet.
struct Block {
    tokens: usize,
    until: Instant,
}

impl Pace {
    pub(super) fn of(buckets: Arc<dyn TokenBuckets>, bucket: String) -> Self {
        let block = Block {
            tokens: 0,
            until: Instant::now(),
        };
        Self {
            buckets,
            bucket,
            block: tokio::sync::Mutex::new(block),
            waiting: AtomicUsize::new(0),
            turns: Turns::default(),
        }
    }

    /// Takes a token, waiting a little for it; one that this cannot have soon is told when to come again.
    pub(super) async fn enter(&self) -> Result<(), Wait> {
        let interval = self.buckets.interval();
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _in_line = InLine(&self.waiting);
        let line = interval.saturating_mul(u32::try_from(ahead).unwrap_or(u32::MAX));
        if line > PATIENCE {
            return Err(self.come_later(line));
        }
        let mut block = self.block.lock().await;
        loop {
            if block.tokens > 0 && Instant::now() < block.until {
                block.tokens -= 1;
                return Ok(());
            }
            let saved = BLOCK.as_micros() / interval.as_micros().max(1);
            let most = usize::try_from(saved).unwrap_or(usize::MAX).max(1);
            let taken = self.buckets.take(&self.bucket, most).await;
            let taken = taken.map_err(|error| Wait {
                after: WITHOUT_STORE,
                why: format!("the rate of {} is not known: {error}", self.bucket),
            })?;
            if taken.tokens > 0 {
                *block = Block {
                    tokens: taken.tokens,
                    until: Instant::now() + BLOCK,
                };
            } else if taken.next_in > PATIENCE {
                return Err(self.come_later(taken.next_in));
            } else {
                sleep(taken.next_in).await;
            }
        }
    }

    fn come_later(&self, soonest: Duration) -> Wait {
        let after = self.turns.next(soonest, self.buckets.interval());
        Wait {
            after,
            why: format!("the rate of {} is used up", self.bucket),
        }
    }
}

/// Counted while it stands in line, however it leaves.
struct InLine<'a>(&'a AtomicUsize);

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// When those that were sent away come again: one behind the other, so that they do not come all at once for one token.
#[derive(Default)]
pub(super) struct Turns(Mutex<Option<Instant>>);

impl Turns {
    /// The longest that a mail is told to wait: what was told to many of them that then did not come is forgotten by then.
    const LONGEST: Duration = Duration::from_secs(3600);

    /// A turn behind the last one, no sooner than in `soonest`.
    pub(super) fn next(&self, soonest: Duration, interval: Duration) -> Duration {
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let after = last.map(|last| last + interval);
        let turn = after.map_or(now + soonest, |after| after.max(now + soonest));
        let turn = turn.min(now + Self::LONGEST.max(soonest));
        *last = Some(turn);
        turn - now
    }
}

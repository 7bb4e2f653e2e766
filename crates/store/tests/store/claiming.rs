//! Where claims look.

use std::time::Duration;

use posthaste_queue::{BootId, Queue};
use sea_orm::ConnectionTrait;
use tokio::time::Instant;

use crate::support::{Bench, claim, job, number};

/// I14. In a lane with a long line, claims begin close behind the last ones. A job that entered far below is given out all
/// the same by a claim that has room for it, and not by a later one.
#[tokio::test]
async fn a_claim_with_room_left_takes_what_entered_below_the_mark_too() {
    let bench = Bench::new().await;
    let boot = BootId::random();
    bench.store.join(boot).await.unwrap();
    let outside = bench.connect().await;
    let mut ids = 0..;
    let mut push = async |count: usize| {
        let jobs = ids.by_ref().take(count);
        let jobs = jobs.map(|id| job(id, Duration::ZERO)).collect();
        bench.store.push(jobs).await.unwrap();
    };
    // One claim of ten may be one that begins further behind anyway.
    for _ in 0..10 {
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(150) {
            push(4).await;
            assert_eq!(claim(&bench.store, boot, "a", 2).await.len(), 2);
        }
        let late = "UPDATE jobs SET rank = 0 WHERE id = (SELECT id FROM jobs WHERE state = 'ready' ORDER BY rank LIMIT 1)";
        outside.execute_unprepared(late).await.unwrap();
        let waiting = "SELECT count(*) FROM jobs WHERE state = 'ready'";
        let waiting = number(&outside, waiting).await;
        let claimed = claim(&bench.store, boot, "a", 10_000).await;
        assert_eq!(i64::try_from(claimed.len()), Ok(waiting));
    }
}

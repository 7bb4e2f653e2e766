//! A task that never has to wait lets others of its runtime run too.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use posthaste_queue::channel::{FullMode, bounded};
use tokio::task::JoinSet;

/// A unit of tokio's budget of 128 for every 8 values, and the values before the first unit was due.
const MOST: u32 = 128 * 8 + 8;

/// Runs `busy` beside a task that only wants one turn; says how many steps that turn took to come.
async fn steps_before_another_runs<F: Future<Output = ()> + Send + 'static>(
    busy: impl FnOnce(Arc<AtomicU32>, Arc<AtomicBool>) -> F,
) -> u32 {
    let (steps, ran) = (
        Arc::new(AtomicU32::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut tasks = JoinSet::new();
    tasks.spawn(busy(Arc::clone(&steps), Arc::clone(&ran)));
    tasks.spawn(async move { ran.store(true, Ordering::SeqCst) });
    tasks.join_all().await;
    steps.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_producer_that_never_waits_gives_way() {
    let (sender, _receiver) = bounded(4, FullMode::DropOldest);
    let steps = steps_before_another_runs(|steps, ran| async move {
        while !ran.load(Ordering::SeqCst) && steps.fetch_add(1, Ordering::SeqCst) < 10 * MOST {
            sender.send(0).await.unwrap();
        }
    })
    .await;
    assert!(steps <= MOST, "{steps}");
}

#[tokio::test]
async fn a_reader_that_never_waits_gives_way() {
    let (sender, receiver) = bounded(4, FullMode::Wait);
    let steps = steps_before_another_runs(|steps, ran| async move {
        while !ran.load(Ordering::SeqCst) && steps.fetch_add(1, Ordering::SeqCst) < 10 * MOST {
            sender.try_send(0).unwrap();
            assert_eq!(receiver.recv().await, Some(0));
        }
    })
    .await;
    assert!(steps <= MOST, "{steps}");
}

/// A unit for each batch, whatever its size.
#[tokio::test]
async fn a_reader_of_batches_that_never_waits_gives_way() {
    let (sender, receiver) = bounded(4, FullMode::Wait);
    let steps = steps_before_another_runs(|steps, ran| async move {
        let mut batch = Vec::new();
        while !ran.load(Ordering::SeqCst) && steps.fetch_add(1, Ordering::SeqCst) < MOST {
            sender.try_send(0).unwrap();
            assert_eq!(receiver.recv_many(&mut batch, 4).await, 1);
        }
    })
    .await;
    assert!(steps <= 129, "{steps}");
}

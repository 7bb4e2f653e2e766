//! What a full channel does, and what it tells of it.

use std::sync::{Arc, Mutex, OnceLock};

use posthaste_queue::channel::{FullMode, Receiver, Sent, bounded_with};
use tokio::task::JoinSet;

use crate::{MODES, inside};

#[tokio::test]
async fn each_full_mode_keeps_what_it_says_and_tells_what_it_drops() {
    let cases = [
        (
            FullMode::DropOldest,
            Sent::Displaced,
            vec![3, 4, 5],
            vec![1, 2],
        ),
        (
            FullMode::DropNewest,
            Sent::Displaced,
            vec![1, 2, 5],
            vec![3, 4],
        ),
        (
            FullMode::DropWrite,
            Sent::Dropped,
            vec![1, 2, 3],
            vec![4, 5],
        ),
    ];
    for (mode, when_full, kept, lost) in cases {
        let dropped = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&dropped);
        let (sender, receiver) =
            bounded_with(3, mode, move |value| told.lock().unwrap().push(value));
        for value in 1..=5 {
            let expected = if value <= 3 { Sent::Stored } else { when_full };
            assert_eq!(sender.send(value).await, Ok(expected), "{mode:?} {value}");
        }
        let stats = receiver.stats();
        assert_eq!(
            (stats.depth, stats.capacity, stats.dropped),
            (3, 3, 2),
            "{mode:?}"
        );
        assert_eq!(inside(&receiver), kept, "{mode:?}");
        assert_eq!(*dropped.lock().unwrap(), lost, "{mode:?}");
    }
}

/// The first half of what is displaced lies where readers take from, the second where producers put.
#[test]
fn what_is_displaced_is_the_oldest_or_newest_wherever_it_lies() {
    for (mode, kept, lost) in [
        (FullMode::DropOldest, vec![3, 4, 5], vec![1, 2]),
        (FullMode::DropNewest, vec![1, 2, 5], vec![3, 4]),
    ] {
        let dropped = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&dropped);
        let (sender, receiver) =
            bounded_with(3, mode, move |value| told.lock().unwrap().push(value));
        for value in 0..=2 {
            sender.try_send(value).unwrap();
        }
        assert_eq!(receiver.try_recv(), Some(0));
        for value in 3..=5 {
            sender.try_send(value).unwrap();
        }
        assert_eq!(inside(&receiver), kept, "{mode:?}");
        assert_eq!(*dropped.lock().unwrap(), lost, "{mode:?}");
    }
}

/// Otherwise it would wait for itself.
#[test]
fn the_hook_may_use_the_channel() {
    for mode in [
        FullMode::DropNewest,
        FullMode::DropOldest,
        FullMode::DropWrite,
    ] {
        let slot = Arc::new(OnceLock::<Receiver<u32>>::new());
        let inner = Arc::clone(&slot);
        let (sender, receiver) = bounded_with(1, mode, move |_| {
            let receiver = inner.get().expect("the channel is made");
            assert_eq!(receiver.stats().dropped, 1);
            assert!(receiver.try_recv().is_some());
        });
        slot.set(receiver).expect("it is set once");
        sender.try_send(1).unwrap();
        assert_ne!(sender.try_send(2), Ok(Sent::Stored));
        assert_eq!(sender.stats().depth, 0, "{mode:?}");
    }
}

/// P7. Under many producers and readers at once the capacity holds, and every value is accounted for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_many_producers_and_readers_nothing_is_lost_or_doubled_and_the_bound_holds() {
    const PRODUCERS: u32 = 8;
    const VALUES: u32 = 2000;
    for mode in MODES {
        let dropped = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&dropped);
        let (sender, receiver) =
            bounded_with::<u32>(16, mode, move |value| told.lock().unwrap().push(value));
        let mut producers = JoinSet::new();
        for producer in 0..PRODUCERS {
            let sender = sender.clone();
            producers.spawn(async move {
                for value in 0..VALUES {
                    sender.send(producer * VALUES + value).await.unwrap();
                    assert!(sender.stats().depth <= 16);
                }
            });
        }
        let mut readers = JoinSet::new();
        for batch in [1, 1, 7] {
            let receiver = receiver.clone();
            readers.spawn(async move {
                let mut mine = Vec::new();
                while receiver.recv_many(&mut mine, batch).await > 0 {}
                mine
            });
        }
        while let Some(produced) = producers.join_next().await {
            produced.unwrap();
        }
        drop(sender);
        let mut read = readers.join_all().await.concat();
        let stats = receiver.stats();
        let total = u64::from(PRODUCERS * VALUES);
        assert_eq!(stats.received + stats.dropped, total, "{mode:?} {stats:?}");
        assert_eq!(read.len() as u64, stats.received, "{mode:?}");
        let told = std::mem::take(&mut *dropped.lock().unwrap());
        assert_eq!(told.len() as u64, stats.dropped, "{mode:?}");
        assert!(mode != FullMode::Wait || stats.dropped == 0);
        // Each value was either read or told to the hook, once.
        read.extend(told);
        read.sort_unstable();
        assert!(
            read.iter().copied().eq(0..PRODUCERS * VALUES),
            "{mode:?}: a value was lost or came twice"
        );
    }
}

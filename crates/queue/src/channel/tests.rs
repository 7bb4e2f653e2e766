use std::{
    collections::VecDeque,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use posthaste_host::Stop;
use proptest::prelude::*;
use tokio::task::JoinSet;

use super::*;

/// Polls once, without a runtime.
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn inside(receiver: &Receiver<u32>) -> Vec<u32> {
    std::iter::from_fn(|| receiver.try_recv()).collect()
}

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

#[tokio::test]
async fn a_full_channel_makes_producers_wait_in_the_order_in_which_they_came() {
    let (sender, receiver) = bounded(1, FullMode::Wait);
    sender.send(0).await.unwrap();
    assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
    let (mut one, mut two) = (pin!(sender.send(1)), pin!(sender.send(2)));
    assert!(poll(one.as_mut()).is_pending() && poll(two.as_mut()).is_pending());
    assert_eq!(receiver.recv().await, Some(0));
    assert!(
        poll(two.as_mut()).is_pending(),
        "the place belongs to the first"
    );
    assert_eq!(poll(one.as_mut()), Poll::Ready(Ok(Sent::Stored)));
    assert_eq!(receiver.recv().await, Some(1));
    assert_eq!(poll(two.as_mut()), Poll::Ready(Ok(Sent::Stored)));
    assert_eq!(receiver.recv().await, Some(2));
}

#[tokio::test]
async fn a_dropped_send_or_receive_loses_no_place_and_no_value() {
    let (sender, receiver) = bounded(1, FullMode::Wait);
    sender.send(1).await.unwrap();
    {
        let mut waiting = pin!(sender.send(2));
        assert!(poll(waiting.as_mut()).is_pending());
        // A place is given to it, and it is dropped before it could use it.
        assert_eq!(receiver.recv().await, Some(1));
    }
    assert_eq!(
        sender.try_send(3),
        Ok(Sent::Stored),
        "the place was not lost"
    );
    assert_eq!(receiver.recv().await, Some(3));
    {
        let mut waiting = pin!(receiver.recv());
        assert!(poll(waiting.as_mut()).is_pending());
        sender.send(4).await.unwrap();
        // It is woken, and dropped before it could take the value.
    }
    assert_eq!(receiver.try_recv(), Some(4), "the value was not lost");
}

#[tokio::test]
async fn each_value_wakes_a_reader_of_its_own() {
    let (sender, one) = bounded(4, FullMode::Wait);
    let two = one.clone();
    let (mut first, mut second) = (pin!(one.recv()), pin!(two.recv()));
    assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
    sender.send(1).await.unwrap();
    sender.send(2).await.unwrap();
    let (first, second) = tokio::time::timeout(Duration::from_secs(5), async {
        tokio::join!(first, second)
    })
    .await
    .expect("no wake-up is lost");
    assert_eq!((first, second), (Some(1), Some(2)));
}

#[tokio::test]
async fn a_reader_ends_when_a_stop_is_requested_and_what_is_inside_can_still_be_taken() {
    let (sender, receiver) = bounded(4, FullMode::Wait);
    let stop = Stop::new();
    sender.send(1).await.unwrap();
    assert_eq!(receiver.recv_until(&stop).await, Some(1));
    sender.send(2).await.unwrap();
    stop.request();
    assert_eq!(receiver.recv_until(&stop).await, None);
    assert_eq!(receiver.try_recv(), Some(2));
}

#[tokio::test]
async fn a_closed_channel_takes_nothing_and_gives_out_what_it_has() {
    let (sender, receiver) = bounded(2, FullMode::Wait);
    sender.send(1).await.unwrap();
    sender.send(2).await.unwrap();
    let mut waiting = pin!(sender.send(3));
    assert!(poll(waiting.as_mut()).is_pending());
    receiver.close();
    assert_eq!(waiting.await, Err(Closed(3)));
    assert_eq!(sender.try_send(4), Err(TrySendError::Closed(4)));
    assert_eq!(
        (
            receiver.recv().await,
            receiver.recv().await,
            receiver.recv().await
        ),
        (Some(1), Some(2), None)
    );
}

#[tokio::test]
async fn the_last_sender_or_reader_closes_by_going() {
    let (sender, receiver) = bounded::<u32>(2, FullMode::DropOldest);
    let other = sender.clone();
    drop(sender);
    other.send(1).await.unwrap();
    drop(other);
    assert_eq!(
        (receiver.recv().await, receiver.recv().await),
        (Some(1), None)
    );
    let (sender, receiver) = bounded(2, FullMode::DropOldest);
    drop(receiver);
    assert_eq!(sender.send(1).await, Err(Closed(1)));
}

/// P7. Under many producers and readers at once the capacity holds, and every value is accounted for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_many_producers_and_readers_nothing_is_lost_or_doubled_and_the_bound_holds() {
    const PRODUCERS: u32 = 8;
    const VALUES: u32 = 2000;
    for mode in [
        FullMode::Wait,
        FullMode::DropOldest,
        FullMode::DropNewest,
        FullMode::DropWrite,
    ] {
        let (sender, receiver) = bounded::<u32>(16, mode);
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
        for _ in 0..3 {
            let receiver = receiver.clone();
            readers.spawn(async move {
                let mut mine = Vec::new();
                while let Some(value) = receiver.recv().await {
                    mine.push(value);
                }
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
        read.sort_unstable();
        assert_eq!(read.len() as u64, stats.received, "{mode:?}");
        read.dedup();
        assert_eq!(
            read.len() as u64,
            stats.received,
            "{mode:?}: a value came twice"
        );
        assert!(mode != FullMode::Wait || stats.dropped == 0);
    }
}

#[derive(Debug, Clone)]
enum Command {
    Send(u32),
    Receive,
}

/// What a channel of this mode holds, by the plainest means.
fn model(mode: FullMode, capacity: usize, values: &mut VecDeque<u32>, value: u32) {
    if values.len() < capacity {
        values.push_back(value);
        return;
    }
    match mode {
        FullMode::Wait | FullMode::DropWrite => {}
        FullMode::DropNewest => {
            values.pop_back();
            values.push_back(value);
        }
        FullMode::DropOldest => {
            values.pop_front();
            values.push_back(value);
        }
    }
}

proptest! {
    #[test]
    fn a_channel_does_what_the_plainest_model_does(
        mode in prop::sample::select(vec![FullMode::Wait, FullMode::DropNewest, FullMode::DropOldest, FullMode::DropWrite]),
        capacity in 1_usize..5,
        commands in prop::collection::vec(prop_oneof![any::<u32>().prop_map(Command::Send), Just(Command::Receive)], 0..60),
    ) {
        let (sender, receiver) = bounded(capacity, mode);
        let mut values = VecDeque::new();
        for command in commands {
            match command {
                Command::Send(value) => {
                    let sent = sender.try_send(value);
                    prop_assert_eq!(matches!(sent, Err(TrySendError::Full(_))), mode == FullMode::Wait && values.len() == capacity);
                    model(mode, capacity, &mut values, value);
                }
                Command::Receive => prop_assert_eq!(receiver.try_recv(), values.pop_front()),
            }
            prop_assert_eq!(receiver.stats().depth, values.len());
        }
    }
}

//! Who waits, who is served, and in which order.

use std::{pin::pin, sync::Arc, task::Poll, time::Duration};

use posthaste_queue::channel::{FullMode, Sent, TrySendError, bounded};

use crate::{Bell, inside, poll};

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

#[test]
fn nobody_who_comes_later_takes_a_place_before_those_in_line() {
    let (sender, receiver) = bounded(2, FullMode::Wait);
    sender.try_send(0).unwrap();
    sender.try_send(1).unwrap();
    let bells: Vec<Arc<Bell>> = (0..20).map(|_| Arc::default()).collect();
    let mut line: Vec<_> = (0..20)
        .map(|place| Box::pin(sender.send(100 + place)))
        .collect();
    for (bell, waiting) in bells.iter().zip(&mut line) {
        assert!(bell.poll(waiting.as_mut()).is_pending());
    }
    for (place, expected) in (0..20).zip([0, 1].into_iter().chain(100..)) {
        assert_eq!(receiver.try_recv(), Some(expected));
        let called: Vec<bool> = bells.iter().map(|bell| bell.has_rung()).collect();
        assert!(called[place] && called[place + 1..].iter().all(|called| !called));
        // A place is free, and it is nobody's but the called one's.
        assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
        let mut late = pin!(sender.send(9));
        assert!(poll(late.as_mut()).is_pending());
        assert_eq!(
            poll(line[place].as_mut()),
            Poll::Ready(Ok(Sent::Stored)),
            "{place}"
        );
    }
    assert_eq!(inside(&receiver), [118, 119]);
    assert_eq!(sender.try_send(9), Ok(Sent::Stored));
}

#[test]
fn a_batch_serves_as_many_producers_as_it_frees_places() {
    let (sender, receiver) = bounded(4, FullMode::Wait);
    for value in 0..4 {
        sender.try_send(value).unwrap();
    }
    let bells: Vec<Arc<Bell>> = (0..5).map(|_| Arc::default()).collect();
    let mut line: Vec<_> = (4..9).map(|value| Box::pin(sender.send(value))).collect();
    for (bell, waiting) in bells.iter().zip(&mut line) {
        assert!(bell.poll(waiting.as_mut()).is_pending());
    }
    let mut batch = Vec::new();
    assert_eq!(
        poll(pin!(receiver.recv_many(&mut batch, 3))),
        Poll::Ready(3)
    );
    let called: Vec<bool> = bells.iter().map(|bell| bell.has_rung()).collect();
    assert_eq!(called, [true, true, true, false, false]);
    for waiting in &mut line[..3] {
        assert_eq!(poll(waiting.as_mut()), Poll::Ready(Ok(Sent::Stored)));
    }
    assert_eq!(inside(&receiver), [3, 4, 5, 6]);
    assert!(bells.iter().all(|bell| bell.has_rung()));
}

#[tokio::test]
async fn a_batch_is_what_is_inside_up_to_its_limit_behind_what_the_buffer_has() {
    let (sender, receiver) = bounded(8, FullMode::Wait);
    let mut batch = vec![0];
    assert_eq!(receiver.recv_many(&mut batch, 0).await, 0);
    {
        let mut waiting = pin!(receiver.recv_many(&mut batch, 4));
        assert!(poll(waiting.as_mut()).is_pending());
        sender.try_send(1).unwrap();
        assert_eq!(poll(waiting.as_mut()), Poll::Ready(1));
    }
    for value in 2..=4 {
        sender.try_send(value).unwrap();
    }
    // The next two come from both halves of the channel.
    assert_eq!(receiver.try_recv(), Some(2));
    for value in 5..=7 {
        sender.try_send(value).unwrap();
    }
    assert_eq!(receiver.recv_many(&mut batch, 3).await, 3);
    assert_eq!(receiver.recv_many(&mut batch, 100).await, 2);
    assert_eq!(batch, [0, 1, 3, 4, 5, 6, 7]);
    let stats = receiver.stats();
    assert_eq!((stats.sent, stats.received, stats.depth), (7, 7, 0));
    drop(sender);
    assert_eq!(receiver.recv_many(&mut batch, 4).await, 0);
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

#[test]
fn a_reader_whose_value_was_taken_keeps_its_place() {
    let (sender, receiver) = bounded(4, FullMode::Wait);
    let bells: [Arc<Bell>; 2] = Default::default();
    let (mut first, mut second) = (pin!(receiver.recv()), pin!(receiver.recv()));
    assert!(bells[0].poll(first.as_mut()).is_pending());
    assert!(bells[1].poll(second.as_mut()).is_pending());
    sender.try_send(1).unwrap();
    assert_eq!(receiver.try_recv(), Some(1));
    assert!(bells[0].poll(first.as_mut()).is_pending());
    sender.try_send(2).unwrap();
    assert!(bells[0].has_rung() && !bells[1].has_rung());
    assert_eq!(poll(first.as_mut()), Poll::Ready(Some(2)));
}

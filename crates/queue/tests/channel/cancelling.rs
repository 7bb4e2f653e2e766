//! Futures dropped at their await: no place, no value and no wake-up goes with them.

use std::{pin::pin, sync::Arc, task::Poll};

use posthaste_host::Stop;
use posthaste_queue::channel::{FullMode, Sent, bounded};

use crate::{Bell, inside, poll};

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

#[test]
fn a_dropped_send_has_sent_nothing_and_its_place_goes_to_the_next_in_line() {
    let (sender, receiver) = bounded(1, FullMode::Wait);
    sender.try_send(0).unwrap();
    let bells: Vec<Arc<Bell>> = (0..4).map(|_| Arc::default()).collect();
    let mut line: Vec<_> = (0..4)
        .map(|value| Some(Box::pin(sender.send(10 + value))))
        .collect();
    for (bell, waiting) in bells.iter().zip(&mut line) {
        let waiting = waiting.as_mut().expect("none was dropped");
        assert!(bell.poll(waiting.as_mut()).is_pending());
    }
    // In the middle of the line: nobody is called for it.
    line[1] = None;
    assert!(bells.iter().all(|bell| !bell.has_rung()));
    assert_eq!(receiver.try_recv(), Some(0));
    assert!(bells[0].has_rung() && !bells[2].has_rung());
    // Called: its place goes on.
    line[0] = None;
    assert!(bells[2].has_rung() && !bells[3].has_rung());
    let third = line[2].as_mut().expect("it was not dropped");
    assert_eq!(poll(third.as_mut()), Poll::Ready(Ok(Sent::Stored)));
    line[3] = None;
    assert_eq!(inside(&receiver), [12]);
    assert_eq!(sender.try_send(1), Ok(Sent::Stored));
    let stats = sender.stats();
    assert_eq!((stats.sent, stats.dropped), (3, 0));
}

#[test]
fn a_dropped_receive_hands_its_wake_up_to_the_next_reader() {
    let (sender, receiver) = bounded(2, FullMode::Wait);
    let bells: [Arc<Bell>; 3] = Default::default();
    let mut batch = Vec::new();
    let mut first = Box::pin(receiver.recv());
    let mut second = Box::pin(receiver.recv_many(&mut batch, 2));
    let stop = Stop::new();
    let mut third = Box::pin(receiver.recv_until(&stop));
    assert!(bells[0].poll(first.as_mut()).is_pending());
    assert!(bells[1].poll(second.as_mut()).is_pending());
    assert!(bells[2].poll(third.as_mut()).is_pending());
    sender.try_send(1).unwrap();
    assert!(bells[0].has_rung() && !bells[1].has_rung());
    drop(first);
    assert!(bells[1].has_rung() && !bells[2].has_rung());
    drop(second);
    assert!(bells[2].has_rung());
    assert_eq!(poll(third.as_mut()), Poll::Ready(Some(1)));
    drop(third);
    assert!(batch.is_empty());
}

#[test]
fn a_dropped_receive_that_waits_is_not_called_any_more() {
    let (sender, receiver) = bounded(2, FullMode::Wait);
    let (gone, stays): (Arc<Bell>, Arc<Bell>) = Default::default();
    let mut waiting = Box::pin(receiver.recv());
    let mut other = pin!(receiver.recv());
    assert!(gone.poll(waiting.as_mut()).is_pending());
    assert!(stays.poll(other.as_mut()).is_pending());
    drop(waiting);
    sender.try_send(1).unwrap();
    assert!(stays.has_rung() && !gone.has_rung());
}

//! Closing, the last end that goes, and a stop with values inside.

use std::{pin::pin, sync::Arc, task::Poll};

use posthaste_host::Stop;
use posthaste_queue::channel::{Closed, FullMode, TrySendError, bounded};

use crate::{Bell, MODES, inside, poll};

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

#[test]
fn a_stop_wakes_a_reader_that_waits_and_comes_before_a_value() {
    let (sender, receiver) = bounded(4, FullMode::Wait);
    let stop = Stop::new();
    let bell = Arc::<Bell>::default();
    let mut waiting = pin!(receiver.recv_until(&stop));
    assert!(bell.poll(waiting.as_mut()).is_pending());
    stop.request();
    assert!(bell.has_rung());
    sender.try_send(1).unwrap();
    assert_eq!(poll(waiting.as_mut()), Poll::Ready(None));
    assert_eq!(receiver.try_recv(), Some(1));
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

#[test]
fn a_close_refuses_whoever_was_given_a_place_and_did_not_use_it() {
    let (sender, receiver) = bounded(1, FullMode::Wait);
    sender.try_send(1).unwrap();
    let (called, waits): (Arc<Bell>, Arc<Bell>) = Default::default();
    let (mut first, mut second) = (pin!(sender.send(2)), Box::pin(sender.send(3)));
    assert!(called.poll(first.as_mut()).is_pending());
    assert!(waits.poll(second.as_mut()).is_pending());
    assert_eq!(receiver.try_recv(), Some(1));
    sender.close();
    assert!(called.has_rung() && waits.has_rung());
    assert_eq!(poll(first.as_mut()), Poll::Ready(Err(Closed(2))));
    drop(second);
    assert!(inside(&receiver).is_empty());
}

#[test]
fn a_close_wakes_every_reader_in_every_mode() {
    for mode in MODES {
        let (sender, receiver) = bounded::<u32>(1, mode);
        let bells: [Arc<Bell>; 2] = Default::default();
        let (mut first, mut second) = (pin!(receiver.recv()), pin!(receiver.recv()));
        assert!(bells[0].poll(first.as_mut()).is_pending());
        assert!(bells[1].poll(second.as_mut()).is_pending());
        sender.close();
        assert!(bells.iter().all(|bell| bell.has_rung()), "{mode:?}");
        assert_eq!(poll(first.as_mut()), Poll::Ready(None));
        assert_eq!(poll(second.as_mut()), Poll::Ready(None));
        assert_eq!(sender.try_send(1), Err(TrySendError::Closed(1)));
    }
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
    let other = receiver.clone();
    drop(receiver);
    sender.send(1).await.unwrap();
    drop(other);
    assert_eq!(sender.send(1).await, Err(Closed(1)));
}

/// A value may keep what it belongs to alive, a permit or even a sender of its own channel.
#[test]
fn what_nobody_is_left_to_read_is_dropped_at_once() {
    let (sender, receiver) = bounded(4, FullMode::Wait);
    let value = Arc::new(());
    for _ in 0..3 {
        sender.try_send(Arc::clone(&value)).unwrap();
    }
    // One is taken, so that values lie in both halves of the channel.
    drop(receiver.try_recv());
    sender.try_send(Arc::clone(&value)).unwrap();
    assert_eq!(Arc::strong_count(&value), 4);
    drop(receiver);
    assert_eq!(Arc::strong_count(&value), 1);
    assert_eq!(sender.stats().depth, 0);
}

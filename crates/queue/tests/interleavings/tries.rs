use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use shuttle::{future::block_on, thread};

use crate::channel::{FullMode, Receiver, Sender, Sent, bounded, bounded_with};

/// Orders that are tried for each case, half of them even-handed, half with few and late changes of thread.
const ORDERS: usize = 1000;

fn check(case: impl Fn() + Send + Sync + 'static) {
    let case = Arc::new(case);
    let same = Arc::clone(&case);
    shuttle::check_random(move || same(), ORDERS / 2);
    shuttle::check_pct(move || case(), ORDERS / 2, 3);
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn produce(sender: Sender<u32>, values: std::ops::Range<u32>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for value in values {
            block_on(sender.send(value)).expect("a reader is there");
        }
    })
}

fn read(receiver: Receiver<u32>, batch: usize) -> thread::JoinHandle<Vec<u32>> {
    thread::spawn(move || {
        let mut mine = Vec::new();
        while block_on(receiver.recv_many(&mut mine, batch)) > 0 {}
        mine
    })
}

#[test]
fn every_value_arrives_once_and_nobody_sleeps_for_good() {
    for (capacity, batch) in [(1, 1), (2, 3)] {
        check(move || {
            let (sender, receiver) = bounded(capacity, FullMode::Wait);
            let producers: Vec<_> = (0..3_u32)
                .map(|producer| produce(sender.clone(), producer * 3..producer * 3 + 3))
                .collect();
            drop(sender);
            let readers = [read(receiver.clone(), batch), read(receiver, 1)];
            producers
                .into_iter()
                .for_each(|p| p.join().expect("it ends"));
            let mut values = readers.map(|reader| {
                let values = reader.join().expect("it ends");
                for producer in 0..3 {
                    let own = values.iter().filter(|value| *value / 3 == producer);
                    assert!(
                        own.is_sorted(),
                        "the values of one producer keep their order"
                    );
                }
                values
            });
            let mut values = values
                .iter_mut()
                .flat_map(std::mem::take)
                .collect::<Vec<_>>();
            values.sort_unstable();
            assert!(values.into_iter().eq(0..9));
        });
    }
}

/// One producer gives up at whatever moment; the others still get through one place.
#[test]
fn a_producer_that_gives_up_takes_no_place_with_it() {
    check(|| {
        let (sender, receiver) = bounded(1, FullMode::Wait);
        let gives_up = sender.clone();
        let quitter = thread::spawn(move || {
            let mut sending = pin!(gives_up.send(100));
            let mut sent = poll(sending.as_mut()).is_ready();
            thread::yield_now();
            sent = sent || poll(sending.as_mut()).is_ready();
            sent
        });
        let producers = [produce(sender.clone(), 0..2), produce(sender.clone(), 2..4)];
        let reader = read(receiver.clone(), 1);
        let sent = quitter.join().expect("it ends");
        producers
            .into_iter()
            .for_each(|p| p.join().expect("it ends"));
        // The place is free in the end, whoever held it last.
        block_on(sender.send(4)).expect("a reader is there");
        drop(sender);
        let values = reader.join().expect("it ends");
        assert_eq!(values.contains(&100), sent);
        assert_eq!(values.len(), 5 + usize::from(sent));
        let stats = receiver.stats();
        assert_eq!((stats.sent, stats.depth), (stats.received, 0));
    });
}

/// One reader gives up at whatever moment; what it was woken for wakes the other.
#[test]
fn a_reader_that_gives_up_takes_no_wake_up_with_it() {
    check(|| {
        let (sender, receiver) = bounded(2, FullMode::Wait);
        let (gives_up, asks_once) = (receiver.clone(), receiver.clone());
        let quitter = thread::spawn(move || {
            let mut receiving = pin!(gives_up.recv());
            if let Poll::Ready(value) = poll(receiving.as_mut()) {
                return value;
            }
            thread::yield_now();
            None
        });
        // It asks for one value and no more, and one is left for it: nobody else could bring it on.
        let one = thread::spawn(move || block_on(asks_once.recv()).expect("a value is left"));
        sender.try_send(1).expect("a place is free");
        let taken = quitter.join().expect("it ends");
        if taken.is_some() {
            sender.try_send(2).expect("a place is free");
        }
        let one = one.join().expect("it ends");
        assert_eq!(one, if taken.is_some() { 2 } else { 1 });
        drop(receiver);
    });
}

/// The place that is freed while a producer gets in line.
#[test]
fn a_place_never_stays_free_beside_a_producer_that_waits() {
    check(|| {
        let (sender, receiver) = bounded(1, FullMode::Wait);
        sender.try_send(0).expect("a place is free");
        let producer = produce(sender.clone(), 1..2);
        // One read and no more: nobody comes by later to put right what was missed.
        assert_eq!(receiver.try_recv(), Some(0));
        producer.join().expect("it ends");
        assert_eq!(receiver.try_recv(), Some(1));
    });
}

/// Also between a reader's step out and its call of the one in line.
#[test]
fn a_place_that_becomes_free_goes_to_nobody_who_came_later() {
    check(|| {
        let (sender, receiver) = bounded(1, FullMode::Wait);
        sender.try_send(0).expect("a place is free");
        let mut waiting = pin!(sender.send(1));
        assert!(poll(waiting.as_mut()).is_pending());
        let late = sender.clone();
        let late = thread::spawn(move || {
            let tried = late.try_send(2).is_ok();
            let mut sending = pin!(late.send(3));
            tried || poll(sending.as_mut()).is_ready()
        });
        assert_eq!(receiver.try_recv(), Some(0));
        assert!(!late.join().expect("it ends"), "it went before the line");
        assert_eq!(poll(waiting.as_mut()), Poll::Ready(Ok(Sent::Stored)));
    });
}

#[test]
fn whatever_is_displaced_is_told_and_counted_once() {
    for mode in [
        FullMode::DropNewest,
        FullMode::DropOldest,
        FullMode::DropWrite,
    ] {
        check(move || {
            let told = Arc::new(std::sync::Mutex::new(Vec::new()));
            let hook = Arc::clone(&told);
            let (sender, receiver) = bounded_with(2, mode, move |value: u32| {
                hook.lock().expect("nobody panics").push(value);
            });
            let producers = [produce(sender.clone(), 0..4), produce(sender, 4..8)];
            let reader = read(receiver.clone(), 2);
            producers
                .into_iter()
                .for_each(|p| p.join().expect("it ends"));
            let mut values = reader.join().expect("it ends");
            let told = told.lock().expect("nobody panics");
            let stats = receiver.stats();
            assert_eq!(
                (stats.received, stats.dropped),
                (values.len() as u64, told.len() as u64)
            );
            values.extend(told.iter());
            values.sort_unstable();
            assert!(values.into_iter().eq(0..8), "{mode:?}");
        });
    }
}

/// A send that was answered with success is read or still inside; one that was refused is neither.
#[test]
fn a_close_at_any_moment_wakes_all_and_loses_nothing() {
    check(|| {
        let (sender, receiver) = bounded(1, FullMode::Wait);
        let producers: Vec<_> = (0..3_u32)
            .map(|value| {
                let sender = sender.clone();
                thread::spawn(move || block_on(sender.send(value)) == Ok(Sent::Stored))
            })
            .collect();
        let reader = read(receiver.clone(), 2);
        receiver.close();
        let sent: Vec<u32> = (0..3)
            .zip(producers)
            .filter_map(|(value, p)| p.join().expect("it ends").then_some(value))
            .collect();
        let mut values = reader.join().expect("it ends");
        values.extend(receiver.try_recv());
        values.sort_unstable();
        assert_eq!(values, sent);
    });
}

/// Ends go while the other side is at work.
#[test]
fn the_last_reader_wakes_producers_by_going() {
    check(|| {
        let value = Arc::new(());
        let (sender, receiver) = bounded(1, FullMode::Wait);
        let producers: Vec<_> = (0..2)
            .map(|_| {
                let (sender, value) = (sender.clone(), Arc::clone(&value));
                thread::spawn(
                    move || {
                        while block_on(sender.send(Arc::clone(&value))).is_ok() {}
                    },
                )
            })
            .collect();
        drop(block_on(receiver.recv()));
        drop(receiver);
        producers
            .into_iter()
            .for_each(|p| p.join().expect("it ends"));
        assert_eq!(Arc::strong_count(&value), 1, "nothing is kept inside");
        drop(sender);
    });
}

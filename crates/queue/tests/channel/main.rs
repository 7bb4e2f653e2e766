//! The bounded channel, through its public face.

mod cancelling;
mod ending;
mod model;
mod modes;
mod sharing;
mod waiting;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use posthaste_queue::channel::{FullMode, Receiver};

const MODES: [FullMode; 4] = [
    FullMode::Wait,
    FullMode::DropNewest,
    FullMode::DropOldest,
    FullMode::DropWrite,
];

/// Polls once, without a runtime.
fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What is inside, taken out.
fn inside<T>(receiver: &Receiver<T>) -> Vec<T> {
    std::iter::from_fn(|| receiver.try_recv()).collect()
}

/// Remembers whether it was woken since the last poll through it.
#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Bell {
    fn poll<F: Future + ?Sized>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        self.0.store(false, Ordering::SeqCst);
        future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(self))))
    }

    fn has_rung(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

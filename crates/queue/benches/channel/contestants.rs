//! What is measured: each channel with 500 places behind one face.

use std::future::Future;

use posthaste_queue::channel::{self, FullMode};

/// Places of each channel.
const CAPACITY: usize = 500;
/// Most values of one batched read.
const BATCH: usize = 256;

pub(crate) trait Contestant: 'static {
    const NAME: &'static str;
    type Sender: Clone + Send + Sync + 'static;
    type Receiver: Send + 'static;

    fn channel() -> (Self::Sender, Self::Receiver);
    fn send(sender: &Self::Sender, value: u64) -> impl Future<Output = ()> + Send;
    /// Reads until the last sender is gone; says how many values came.
    fn drain(receiver: Self::Receiver) -> impl Future<Output = u64> + Send;
}

pub(crate) struct Ours;

impl Contestant for Ours {
    const NAME: &'static str = "ours";
    type Sender = channel::Sender<u64>;
    type Receiver = channel::Receiver<u64>;

    fn channel() -> (Self::Sender, Self::Receiver) {
        channel::bounded(CAPACITY, FullMode::Wait)
    }

    async fn send(sender: &Self::Sender, value: u64) {
        sender.send(value).await.expect("the reader lives");
    }

    async fn drain(receiver: Self::Receiver) -> u64 {
        let mut read = 0;
        while receiver.recv().await.is_some() {
            read += 1;
        }
        read
    }
}

/// The same with batched reads.
pub(crate) struct OursMany;

impl Contestant for OursMany {
    const NAME: &'static str = "ours, many";
    type Sender = channel::Sender<u64>;
    type Receiver = channel::Receiver<u64>;

    fn channel() -> (Self::Sender, Self::Receiver) {
        Ours::channel()
    }

    async fn send(sender: &Self::Sender, value: u64) {
        Ours::send(sender, value).await;
    }

    async fn drain(receiver: Self::Receiver) -> u64 {
        let mut read = 0;
        let mut batch = Vec::with_capacity(BATCH);
        while receiver.recv_many(&mut batch, BATCH).await > 0 {
            read += batch.drain(..).len() as u64;
        }
        read
    }
}

pub(crate) struct TokioMpsc;

impl Contestant for TokioMpsc {
    const NAME: &'static str = "tokio mpsc";
    type Sender = tokio::sync::mpsc::Sender<u64>;
    type Receiver = tokio::sync::mpsc::Receiver<u64>;

    fn channel() -> (Self::Sender, Self::Receiver) {
        tokio::sync::mpsc::channel(CAPACITY)
    }

    async fn send(sender: &Self::Sender, value: u64) {
        sender.send(value).await.expect("the reader lives");
    }

    async fn drain(mut receiver: Self::Receiver) -> u64 {
        let mut read = 0;
        while receiver.recv().await.is_some() {
            read += 1;
        }
        read
    }
}

/// The same with batched reads.
pub(crate) struct TokioMpscMany;

impl Contestant for TokioMpscMany {
    const NAME: &'static str = "tokio mpsc, many";
    type Sender = tokio::sync::mpsc::Sender<u64>;
    type Receiver = tokio::sync::mpsc::Receiver<u64>;

    fn channel() -> (Self::Sender, Self::Receiver) {
        TokioMpsc::channel()
    }

    async fn send(sender: &Self::Sender, value: u64) {
        TokioMpsc::send(sender, value).await;
    }

    async fn drain(mut receiver: Self::Receiver) -> u64 {
        let mut read = 0;
        let mut batch = Vec::with_capacity(BATCH);
        while receiver.recv_many(&mut batch, BATCH).await > 0 {
            read += batch.drain(..).len() as u64;
        }
        read
    }
}

pub(crate) struct Flume;

impl Contestant for Flume {
    const NAME: &'static str = "flume";
    type Sender = flume::Sender<u64>;
    type Receiver = flume::Receiver<u64>;

    fn channel() -> (Self::Sender, Self::Receiver) {
        flume::bounded(CAPACITY)
    }

    async fn send(sender: &Self::Sender, value: u64) {
        sender.send_async(value).await.expect("the reader lives");
    }

    async fn drain(receiver: Self::Receiver) -> u64 {
        let mut read = 0;
        while receiver.recv_async().await.is_ok() {
            read += 1;
        }
        read
    }
}

pub(crate) struct AsyncChannel;

impl Contestant for AsyncChannel {
    const NAME: &'static str = "async-channel";
    type Sender = async_channel::Sender<u64>;
    type Receiver = async_channel::Receiver<u64>;

    fn channel() -> (Self::Sender, Self::Receiver) {
        async_channel::bounded(CAPACITY)
    }

    async fn send(sender: &Self::Sender, value: u64) {
        sender.send(value).await.expect("the reader lives");
    }

    async fn drain(receiver: Self::Receiver) -> u64 {
        let mut read = 0;
        while receiver.recv().await.is_ok() {
            read += 1;
        }
        read
    }
}

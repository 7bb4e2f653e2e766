//! Group commit: one thread, one connection, one synced transaction for whatever waits.
//!
//! The thread has a runtime of its own. Each batch takes some turns between it and the database, and on the runtime that
//! serves requests each turn would wait behind whatever else is ready there, and with it everybody in the batch.
//!
//! Nobody waits for a timer: a lone command is committed at once, and while a commit syncs, the next batch gathers. A
//! command belongs to the writer once it has begun; a caller that hangs up before that is skipped, one that hangs up
//! later is committed all the same. The writer's own work stands under no time-out.
//!
//! - Ends of jobs go before submits, on a queue of their own, so that a flood of submits cannot hold them up.
//! - Submits are bounded in number and in bytes, and are refused while the disk is nearly full.
//! - If one command breaks a constraint, the batch is rolled back and its commands run one by one: only the guilty one
//!   fails. After any other error the connection is closed, for SQLite may have rolled back by itself and would commit
//!   the rest row by row: nothing more runs on it.

mod batch;
mod checkpoint;
mod disk;
mod failure;
mod session;
mod time;
mod unit;

use std::{fmt, io, sync::Arc, thread, time::Duration};

use async_trait::async_trait;
use posthaste_domain::{clock::Clock, stores::StoreError};
use posthaste_queue::Controls;
use sea_orm::DbErr;
use tokio::{
    runtime,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
};

use self::batch::Batcher;
pub(crate) use self::{
    failure::{Failure, Fault},
    session::{Closing, Plans, Session},
    unit::Unit,
};
use crate::{
    accept::Accept,
    connect::{Connector, StoreConfig},
    hints::Notices,
    queue::push::Push,
    seal::Sealer,
    settle::Settle,
};

/// How long a submit waits for room before it is refused.
const INTAKE_PATIENCE: Duration = Duration::from_secs(2);
/// Most urgent commands that wait; their senders are few (one settler, one producer) and wait for their answers.
const URGENT_CAPACITY: usize = 1024;

/// The bounds of the writer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    commands: usize,
    bytes: usize,
    batch: usize,
    checkpoint_above: u64,
    disk_floor: u64,
    idempotency_keys: Duration,
}

impl From<&StoreConfig> for Limits {
    fn from(config: &StoreConfig) -> Self {
        Self {
            commands: config.intake_commands.max(1),
            bytes: config.intake_bytes.clamp(1, u32::MAX as usize),
            batch: config.batch.max(1),
            checkpoint_above: config.checkpoint_above,
            disk_floor: config.disk_floor,
            idempotency_keys: config.idempotency_keys,
        }
    }
}

/// Something to be written.
#[async_trait]
pub(crate) trait Write: Send {
    /// Writes. It may be called a second time, in another transaction, if the first one was rolled back.
    async fn apply(&mut self, unit: &mut Unit<'_>) -> Result<(), DbErr>;

    /// Answers: what `apply` wrote is on disk.
    fn committed(self: Box<Self>);

    /// Answers: nothing was written, or, for [`Failure::Unknown`], it may have been.
    fn failed(self: Box<Self>, failure: Failure);

    /// Whether nobody waits for the answer any more; then it need not begin.
    fn abandoned(&self) -> bool;

    /// The commands it is made of, each to be run by itself after their batch failed.
    fn split(self: Box<Self>) -> Vec<Box<dyn Write>>;

    /// Whether all that [`Self::apply`] writes is in [`Unit::close_with`].
    fn only_inserts(&self) -> bool {
        false
    }

    /// Leaves out what can be left out, after it failed alone; `false` if there is nothing (more) to leave out.
    fn lighten(&mut self) -> bool {
        false
    }
}

/// A command on its way to the writer.
pub(crate) enum Command {
    Settle(Settle),
    Push(Push),
    Accept(Accept, Space),
    Other(Box<dyn Write>),
}

/// The room that a submit takes up while it waits.
pub(crate) struct Space {
    _bytes: OwnedSemaphorePermit,
}

/// The way to the writing thread, which ends when this is dropped or [`Writer::close`] is called, and everything that
/// waited is written.
pub(crate) struct Writer {
    urgent: std::sync::Mutex<Option<mpsc::Sender<Command>>>,
    intake: std::sync::Mutex<Option<mpsc::Sender<Command>>>,
    bytes: Arc<Semaphore>,
    limits: Limits,
    ended: watch::Receiver<()>,
}

impl Writer {
    pub(crate) fn start(
        connector: Connector,
        session: Option<Session>,
        limits: Limits,
        clock: Arc<dyn Clock>,
        sealer: Arc<Sealer>,
        notices: Notices,
        controls: Controls,
    ) -> io::Result<Self> {
        let (urgent, urgent_commands) = mpsc::channel(URGENT_CAPACITY);
        let (intake, intake_commands) = mpsc::channel(limits.commands);
        let (alive, ended) = watch::channel(());
        let mut batcher =
            Batcher::new(connector, session, limits, clock, sealer, notices, controls);
        let turns = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                turns.block_on(batcher.run(urgent_commands, intake_commands));
                // With the lock on the file; whoever learns of the end may open it again.
                drop(batcher);
                drop(alive);
            })?;
        Ok(Self {
            urgent: std::sync::Mutex::new(Some(urgent)),
            intake: std::sync::Mutex::new(Some(intake)),
            bytes: Arc::new(Semaphore::new(limits.bytes)),
            limits,
            ended,
        })
    }

    /// Whether so few `free` bytes on the disk keep submits out.
    pub(crate) fn below_disk_floor(&self, free: Option<u64>) -> bool {
        free.is_some_and(|free| free < self.limits.disk_floor)
    }

    /// Sends a command that ends or begins jobs; it goes before submits.
    pub(crate) async fn urgent(&self, command: Command) -> Result<(), Failure> {
        let sender = sender(&self.urgent)?;
        sender.send(command).await.map_err(|_| Failure::closed())
    }

    /// Sends a submit of `size` bytes, waiting a little for room.
    pub(crate) async fn submit(
        &self,
        size: usize,
        command: impl FnOnce(Space) -> Command,
    ) -> Result<(), StoreError> {
        let sender = sender(&self.intake).map_err(StoreError::from)?;
        // One that is larger than all the room there is may enter alone.
        let size = u32::try_from(size.min(self.limits.bytes)).unwrap_or(u32::MAX);
        let room = async {
            let bytes = Arc::clone(&self.bytes)
                .acquire_many_owned(size)
                .await
                .ok()?;
            let place = sender.reserve().await.ok()?;
            Some((bytes, place))
        };
        match tokio::time::timeout(INTAKE_PATIENCE, room).await {
            Ok(Some((bytes, place))) => place.send(command(Space { _bytes: bytes })),
            Ok(None) => return Err(Failure::closed().into()),
            Err(_elapsed) => return Err(StoreError::Overloaded),
        }
        Ok(())
    }

    /// Writes by `work` in a transaction of its own or of others, before submits, and gives its answer after the commit.
    pub(crate) async fn write<T, W>(&self, work: W) -> Result<T, Failure>
    where
        T: Send + 'static,
        W: AsyncWork<T>,
    {
        let (reply, answer) = oneshot::channel();
        self.urgent(Command::Other(Box::new(Single {
            work,
            done: None,
            reply,
        })))
        .await?;
        answer.await.unwrap_or_else(|_| Err(Failure::closed()))
    }

    /// The same for work that came from outside: it waits with the submits and is bounded like them.
    pub(crate) async fn submit_write<T, W>(&self, size: usize, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: AsyncWork<T>,
    {
        let (reply, answer) = oneshot::channel();
        let single = Single {
            work,
            done: None,
            reply,
        };
        self.submit(size, |space| {
            Command::Other(Box::new(Spaced {
                inner: Box::new(single),
                space,
            }))
        })
        .await?;
        answer
            .await
            .unwrap_or_else(|_| Err(Failure::closed()))
            .map_err(StoreError::from)
    }

    pub(crate) async fn close(&self) {
        for sender in [&self.intake, &self.urgent] {
            sender
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .take();
        }
        self.ended().await;
    }

    pub(crate) async fn ended(&self) {
        let mut ended = self.ended.clone();
        // The sender is dropped when the thread ends, or panics.
        while ended.changed().await.is_ok() {}
    }
}

fn sender(
    slot: &std::sync::Mutex<Option<mpsc::Sender<Command>>>,
) -> Result<mpsc::Sender<Command>, Failure> {
    let slot = slot
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    slot.clone().ok_or_else(Failure::closed)
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// One piece of work that no other is merged with.
#[async_trait]
pub(crate) trait AsyncWork<T>: Send + 'static {
    /// Writes; called again in another transaction if the first one was rolled back.
    async fn run(&mut self, unit: &mut Unit<'_>) -> Result<T, DbErr>;
}

struct Single<T, W> {
    work: W,
    done: Option<T>,
    reply: oneshot::Sender<Result<T, Failure>>,
}

#[async_trait]
impl<T: Send + 'static, W: AsyncWork<T>> Write for Single<T, W> {
    async fn apply(&mut self, unit: &mut Unit<'_>) -> Result<(), DbErr> {
        self.done = Some(self.work.run(unit).await?);
        Ok(())
    }

    fn committed(self: Box<Self>) {
        let done = self
            .done
            .expect("a command is answered after it was applied");
        // A caller that hung up gets no answer; what it asked for is written all the same.
        self.reply.send(Ok(done)).ok();
    }

    fn failed(self: Box<Self>, failure: Failure) {
        self.reply.send(Err(failure)).ok();
    }

    fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn split(self: Box<Self>) -> Vec<Box<dyn Write>> {
        vec![self]
    }
}

/// A command that takes up room until it is answered.
struct Spaced {
    inner: Box<dyn Write>,
    space: Space,
}

#[async_trait]
impl Write for Spaced {
    async fn apply(&mut self, unit: &mut Unit<'_>) -> Result<(), DbErr> {
        self.inner.apply(unit).await
    }

    fn committed(self: Box<Self>) {
        self.inner.committed();
        drop(self.space);
    }

    fn failed(self: Box<Self>, failure: Failure) {
        self.inner.failed(failure);
    }

    fn abandoned(&self) -> bool {
        self.inner.abandoned()
    }

    fn split(self: Box<Self>) -> Vec<Box<dyn Write>> {
        vec![self]
    }
}

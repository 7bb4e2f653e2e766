//! The writing thread: gathers a batch, commits it, answers.

use std::sync::Arc;

use posthaste_domain::clock::Clock;
use posthaste_queue::{ClaimedJob, Controls, Lane, Lease, Reservation, Settlement, Verdict};
use sea_orm::{DbBackend, DbErr};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::{
    Command, Limits, Unit, Write,
    checkpoint::Checkpointer,
    disk::Disk,
    failure::{Failure, Fault},
    session::{Closing, Plans, Session, Uncommitted},
    time::{Time, Watch},
};
use crate::{
    accept::AcceptGroup,
    connect::Connector,
    hints::Notices,
    queue::{book::RankBook, push::PushGroup, statements::end_leases},
    seal::Sealer,
    settle::SettleGroup,
};

pub(super) struct Batcher {
    connector: Connector,
    /// Absent at first where it must be opened by the thread that uses it, and after an error until it could be opened
    /// again.
    session: Option<Session>,
    /// For a database that is a file of ours.
    checkpointer: Option<Checkpointer>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    sealer: Arc<Sealer>,
    notices: Notices,
    controls: Controls,
    disk: Disk,
    watch: Watch,
    book: RankBook,
    /// Leases that were given out in a commit whose answer was lost: held by nobody, and given back before anything else.
    doubtful: Vec<Settlement<()>>,
}

/// How often a batch is tried again after conflicts.
const CONFLICTS: usize = 5;

/// What follows from the commit of units that were applied.
struct Applied {
    handed: Vec<(Reservation, ClaimedJob)>,
    given: Vec<Lease>,
    waiting: Vec<Lane>,
    closing: Option<Closing>,
}

/// How a transaction ended that was not committed.
enum Aborted {
    /// Rolled back for an error in one command.
    Guilty(DbErr),
    /// Rolled back because another node wrote the same rows: worth another try, whole.
    Conflict(DbErr),
    /// The connection is not to be used any more.
    Broken(Failure),
}

impl Batcher {
    pub(super) fn new(
        connector: Connector,
        session: Option<Session>,
        limits: Limits,
        clock: Arc<dyn Clock>,
        sealer: Arc<Sealer>,
        notices: Notices,
        controls: Controls,
    ) -> Self {
        let checkpointer = match &connector {
            Connector::Sqlite(file) => {
                Some(Checkpointer::new(file.clone(), limits.checkpoint_above))
            }
            Connector::Postgres(_) => None,
        };
        Self {
            connector,
            session,
            checkpointer,
            limits,
            clock,
            sealer,
            notices,
            controls,
            disk: Disk::default(),
            watch: Watch::default(),
            book: RankBook::default(),
            doubtful: Vec::new(),
        }
    }

    /// Runs until both queues are closed and empty.
    pub(super) async fn run(
        &mut self,
        mut urgent: mpsc::Receiver<Command>,
        mut intake: mpsc::Receiver<Command>,
    ) {
        if self.session.is_none() {
            // If that fails, it is tried again for the first batch, which tells.
            self.session = self.connector.session().await.ok();
        }
        loop {
            // Waiting takes nothing out, so nothing can be lost by the branch that is not taken.
            let first = tokio::select! {
                biased;
                Some(command) = urgent.recv() => command,
                Some(command) = intake.recv() => command,
                else => break,
            };
            let mut commands = vec![first];
            while commands.len() < self.limits.batch
                && let Ok(command) = urgent.try_recv()
            {
                commands.push(command);
            }
            while commands.len() < self.limits.batch
                && let Ok(command) = intake.try_recv()
            {
                commands.push(command);
            }
            self.write(commands).await;
            if let Some(checkpointer) = &mut self.checkpointer {
                checkpointer.between_batches().await;
            }
        }
        if let Some(session) = self.session.take() {
            if let Some(checkpointer) = &mut self.checkpointer {
                checkpointer.finish().await;
            }
            close(session).await;
        }
    }

    async fn write(&mut self, commands: Vec<Command>) {
        let mut units = self.grouped(commands);
        if units.is_empty() {
            return;
        }
        match self.transact_whole(&mut units).await {
            Ok(()) => units.into_iter().for_each(Write::committed),
            Err(Aborted::Broken(failure)) => fail(units, &failure),
            Err(Aborted::Guilty(_) | Aborted::Conflict(_)) => {
                for unit in units.into_iter().flat_map(Write::split) {
                    self.write_alone(unit).await;
                }
            }
        }
    }

    async fn write_alone(&mut self, mut unit: Box<dyn Write>) {
        loop {
            match self.transact_whole(std::slice::from_mut(&mut unit)).await {
                Ok(()) => return unit.committed(),
                Err(Aborted::Conflict(error)) => {
                    return unit.failed(not_written(error));
                }
                Err(Aborted::Guilty(_)) if unit.lighten() => {}
                Err(Aborted::Guilty(error)) => {
                    error!(
                        error = &error as &dyn std::error::Error,
                        "a command broke a constraint"
                    );
                    return unit.failed(Failure::NotWritten(Some(Arc::new(error))));
                }
                Err(Aborted::Broken(failure)) => return unit.failed(failure),
            }
        }
    }

    /// Merges what can be merged: ends of jobs first, then what is neither, then jobs and submits.
    fn grouped(&mut self, commands: Vec<Command>) -> Vec<Box<dyn Write>> {
        let (mut settles, mut others) = (Vec::new(), Vec::new());
        let (mut pushes, mut accepts) = (Vec::new(), Vec::new());
        for command in commands {
            match command {
                Command::Settle(settle) => settles.push(settle),
                Command::Push(push) if !push.abandoned() => pushes.push(push),
                Command::Accept(accept, space) if !accept.abandoned() => {
                    accepts.push((accept, space))
                }
                Command::Other(write) if !write.abandoned() => others.push(write),
                Command::Push(_) | Command::Accept(..) | Command::Other(_) => {}
            }
        }
        if !accepts.is_empty() && self.is_disk_full() {
            for (accept, _space) in accepts.drain(..) {
                accept.refuse(Failure::DiskFloor);
            }
        }
        let mut units: Vec<Box<dyn Write>> = Vec::new();
        if !settles.is_empty() {
            units.push(Box::new(SettleGroup::new(settles)));
        }
        units.extend(others);
        if !pushes.is_empty() {
            units.push(Box::new(PushGroup::new(pushes)));
        }
        if !accepts.is_empty() {
            units.push(Box::new(AcceptGroup::new(accepts)));
        }
        units
    }

    fn is_disk_full(&mut self) -> bool {
        let (connector, floor) = (&self.connector, self.limits.disk_floor);
        self.disk.is_below(floor, || connector.free_space())
    }

    /// The same as [`Self::transact`], again as a whole after a conflict with another node (I30).
    async fn transact_whole(&mut self, units: &mut [Box<dyn Write>]) -> Result<(), Aborted> {
        for _ in 0..CONFLICTS {
            match self.transact(units).await {
                Err(Aborted::Conflict(error)) => {
                    info!(
                        error = &error as &dyn std::error::Error,
                        "a batch met another node's; again"
                    );
                }
                ended => return ended,
            }
        }
        self.transact(units).await
    }

    /// Applies all units in one transaction and commits it, synced. Only then are jobs handed over.
    async fn transact(&mut self, units: &mut [Box<dyn Write>]) -> Result<(), Aborted> {
        if let Err(error) = self.connector.ready(&mut self.session).await {
            return Err(Aborted::Broken(self.broken(not_written(error)).await));
        }
        // A file's connection is not lost meanwhile, so it need not be tried before it is written to.
        let by_itself = self.connector.backend() == DbBackend::Sqlite
            && self.doubtful.is_empty()
            && matches!(units, [unit] if unit.only_inserts());
        if !by_itself && let Err(error) = self.begin(units).await {
            return Err(Aborted::Broken(self.broken(not_written(error)).await));
        }
        match self.applied(units).await {
            Ok(applied) => self.commit(applied).await,
            Err(error) => Err(self.aborted(error).await),
        }
    }

    async fn begin(&mut self, units: &[Box<dyn Write>]) -> Result<(), DbErr> {
        let inserts = self.doubtful.is_empty() && units.iter().all(|unit| unit.only_inserts());
        let plans = if inserts { Plans::Kept } else { Plans::Fresh };
        let session = &mut self.session;
        self.connector.begin_writing(session, plans).await
    }

    /// Applies all units. Reservations are freed before an error is answered.
    async fn applied(&mut self, units: &mut [Box<dyn Write>]) -> Result<Applied, DbErr> {
        let session = self.session.as_ref();
        let txn = session.map(Session::txn).ok_or_else(no_session)?;
        let Time { now, steady } = self.watch.time(&self.connector, txn, &*self.clock).await?;
        let mut unit = Unit {
            txn,
            backend: self.connector.backend(),
            now,
            steady,
            sealer: &self.sealer,
            book: &mut self.book,
            controls: &self.controls,
            idempotency_keys: self.limits.idempotency_keys,
            handover: self.notices.handover(),
            handed: Vec::new(),
            given: Vec::new(),
            waiting: Vec::new(),
            closing: None,
        };
        let doubtful: Vec<_> = self.doubtful.iter().collect();
        end_leases(&mut unit, &doubtful).await?;
        for write in units {
            debug_assert!(unit.closing.is_none(), "what closes comes last");
            write.apply(&mut unit).await?;
        }
        Ok(Applied {
            handed: unit.handed,
            given: unit.given,
            waiting: unit.waiting,
            closing: unit.closing,
        })
    }

    async fn commit(&mut self, applied: Applied) -> Result<(), Aborted> {
        let Applied {
            handed,
            given,
            waiting,
            closing,
        } = applied;
        let committed = match &mut self.session {
            Some(session) => session.commit(closing).await,
            None => Err(Uncommitted::NotWritten(no_session())),
        };
        match committed {
            Ok(()) => {}
            Err(Uncommitted::NotWritten(error)) => {
                drop(handed);
                return Err(self.aborted(error).await);
            }
            Err(Uncommitted::Unknown(error)) => {
                drop(handed);
                let release = |lease| Settlement {
                    lease,
                    verdict: Verdict::Release,
                    effects: None,
                };
                self.doubtful.extend(given.into_iter().map(release));
                let unknown = Failure::Unknown(Arc::new(error));
                return Err(Aborted::Broken(self.broken(unknown).await));
            }
        }
        self.doubtful.clear();
        for (reservation, job) in handed {
            if let Err(job) = reservation.deliver(job) {
                // The worker began to stop meanwhile: its leaving gives the job back.
                tracing::debug!(job.id = %job.meta.id, "handed over while stopping");
            }
        }
        self.notices.work_waits(&waiting);
        Ok(())
    }

    /// Rolls back, and says what an error means for the batch.
    async fn aborted(&mut self, error: DbErr) -> Aborted {
        let rolled_back = match &mut self.session {
            Some(session) => session.roll_back().await.is_ok(),
            None => false,
        };
        match (Fault::of(&error), rolled_back) {
            (Fault::Command, true) => Aborted::Guilty(error),
            (Fault::Conflict, true) => Aborted::Conflict(error),
            (Fault::Connection, _) | (_, false) => {
                Aborted::Broken(self.broken(not_written(error)).await)
            }
        }
    }

    /// Closes the connection: SQLite may have ended the transaction by itself, and what ran next would be committed row
    /// by row.
    async fn broken(&mut self, failure: Failure) -> Failure {
        if let Some(session) = self.session.take() {
            warn!(?failure, "writing failed; the database is opened anew");
            self.watch.forget();
            close(session).await;
        }
        failure
    }
}

fn no_session() -> DbErr {
    DbErr::Custom("the database is not open".to_owned())
}

fn not_written(error: DbErr) -> Failure {
    Failure::NotWritten(Some(Arc::new(error)))
}

fn fail(units: Vec<Box<dyn Write>>, failure: &Failure) {
    for unit in units {
        unit.failed(failure.clone());
    }
}

async fn close(session: Session) {
    if let Err(error) = session.close().await {
        warn!(
            error = &error as &dyn std::error::Error,
            "a connection did not close"
        );
    }
}

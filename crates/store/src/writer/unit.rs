//! The present transaction, as the commands see it.

use std::{sync::Arc, time::Duration};

use posthaste_domain::clock::Timestamp;
use posthaste_queue::{ClaimedJob, Controls, Handover, Lane, Lease, Reservation};
use sea_orm::{DatabaseTransaction, DbBackend, DbErr, Statement, Value};

use super::session::Closing;
use crate::{accept::stale, queue::book::RankBook, seal::Sealer, sql};

/// A unit of work: what is being written in the present transaction, and what follows from its commit.
pub(crate) struct Unit<'a> {
    pub(crate) txn: &'a DatabaseTransaction,
    pub(crate) backend: DbBackend,
    pub(crate) now: Timestamp,
    /// Whether anything may be over by [`Self::now`].
    pub(super) steady: bool,
    pub(crate) sealer: &'a Sealer,
    /// The order of the jobs that become ready; to be refreshed first.
    pub(crate) book: &'a mut RankBook,
    pub(crate) controls: &'a Controls,
    pub(super) idempotency_keys: Duration,
    pub(super) handover: Option<&'a Arc<Handover>>,
    pub(super) handed: Vec<(Reservation, ClaimedJob)>,
    /// Leases given out in this transaction.
    pub(super) given: Vec<Lease>,
    pub(super) waiting: Vec<Lane>,
    /// Travels with the commit.
    pub(super) closing: Option<Closing>,
}

impl<'a> Unit<'a> {
    /// Of a transaction that is not the writer's: nothing of it is handed over, for nobody here learns of its commit.
    pub(crate) const fn of_caller(
        txn: &'a DatabaseTransaction,
        backend: DbBackend,
        now: Timestamp,
        sealer: &'a Sealer,
        book: &'a mut RankBook,
        controls: &'a Controls,
    ) -> Self {
        Self {
            txn,
            backend,
            now,
            steady: true,
            sealer,
            book,
            controls,
            // No key is claimed there.
            idempotency_keys: Duration::ZERO,
            handover: None,
            handed: Vec::new(),
            given: Vec::new(),
            waiting: Vec::new(),
            closing: None,
        }
    }

    /// These statements are the last of the transaction, and run with its commit.
    pub(crate) fn close_with(&mut self, closing: Closing) {
        self.closing = Some(closing);
    }

    /// The lanes in which work waits from the commit on.
    pub(crate) fn lanes(self) -> Vec<Lane> {
        self.waiting
    }

    /// A statement in the words of the database.
    pub(crate) fn statement(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Statement {
        sql::statement(self.backend, sql, values)
    }

    /// Brings [`Self::book`] up to date.
    pub(crate) async fn refresh_ranks(&mut self) -> Result<(), DbErr> {
        self.book.refresh(self.txn, self.backend).await
    }

    /// Lets other nodes know how far the lanes have come, once a second.
    pub(crate) async fn put_down_ranks_now_and_then(&mut self) -> Result<(), DbErr> {
        self.book
            .put_down_now_and_then(self.txn, self.backend)
            .await
    }

    /// Puts down how far the lanes have come, for statements that read it.
    pub(crate) async fn put_down_ranks(&mut self) -> Result<(), DbErr> {
        self.book.put_down(self.txn, self.backend).await
    }

    /// Idempotency keys made at or before this instant, in microseconds since 1970, are free again. While the clock is not
    /// to be trusted none is (I22): a mail would go out twice.
    pub(crate) fn keys_before(&self) -> i64 {
        if self.steady {
            stale(self.now, self.idempotency_keys)
        } else {
            i64::MIN
        }
    }

    /// A free executor for a job of `lane`, if it need not wait.
    pub(crate) fn reserve(&self, lane: &Lane) -> Option<Reservation> {
        self.handover?.reserve(lane)
    }

    /// The job was inserted as leased: it starts after the commit.
    pub(crate) fn hand_over(&mut self, reservation: Reservation, job: ClaimedJob) {
        self.gave(&job.lease);
        self.handed.push((reservation, job));
    }

    /// A lease is given out: if the answer to the commit is lost, nobody will hold it.
    pub(crate) fn gave(&mut self, lease: &Lease) {
        self.given.push(Lease {
            job: lease.job,
            fence: lease.fence,
            boot: lease.boot,
        });
    }

    /// A job was inserted as ready: the worker is told after the commit.
    pub(crate) fn work_waits(&mut self, lane: Lane) {
        self.waiting.push(lane);
    }
}

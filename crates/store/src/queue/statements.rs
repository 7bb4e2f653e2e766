//! The queue's statements. Each carries a batch: a statement costs a thread switch or a round trip, a row almost nothing.

mod bury;
mod claim;
mod end;
mod expire;
mod limits;
mod nodes;
mod push;
mod ready;

use posthaste_queue::suspect::APART_FROM;
use sea_orm::DbBackend;

pub(crate) use self::{
    bury::quarantine,
    claim::{Wanted, claim, claim_suspect, ready_lanes},
    end::end_leases,
    expire::{any_expired, end_deliveries, expire},
    limits::Limits,
    nodes::{held, join, leave, recover_orphans},
    push::push,
    ready::{any_suspect, next_due, promote, until},
};
use crate::sql::Words;

/// The state in which a job with `crashes` (an expression) becomes ready.
fn ready_state(crashes: &str) -> String {
    format!("CASE WHEN {crashes} >= {APART_FROM} THEN 'suspect' ELSE 'ready' END")
}

/// The rank at which a job that was given out before becomes ready again: its own, but not below what its lane has given
/// out by now.
fn rank_again(backend: DbBackend) -> String {
    format!(
        "{}(jobs.rank, coalesce((SELECT lanes.rank FROM lanes WHERE lanes.lane = jobs.lane), 0))",
        backend.greatest()
    )
}

/// What giving back sets, the attempt unspent.
pub(crate) fn given_back(backend: DbBackend) -> String {
    format!(
        "state = {}, boot_id = NULL, attempts = attempts - 1, rank = {}",
        ready_state("crashes"),
        rank_again(backend)
    )
}

/// What the death of a job's process sets: the same, and a crash.
pub(crate) fn crashed(backend: DbBackend) -> String {
    format!(
        "state = {}, boot_id = NULL, attempts = attempts - 1, crashes = crashes + 1, rank = {}",
        ready_state("crashes + 1"),
        rank_again(backend)
    )
}

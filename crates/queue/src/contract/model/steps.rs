//! Commands, and how they are drawn.

use std::{ops::Range, time::Duration};

use proptest::{collection::vec, prelude::*};

use super::super::tools::HOUR;
use crate::verdict::Verdict;

pub(super) const NODES: usize = 3;
pub(super) const LANES: usize = 2;

/// One command. Numbers choose among what there is, whatever that is.
#[derive(Debug, Clone)]
pub enum Step {
    /// Jobs enter.
    Push(Vec<Entering>),
    /// One that a worker holds enters again.
    PushAgain(usize),
    /// A node claims.
    Claim {
        /// The node.
        node: usize,
        /// The lane.
        lane: usize,
        /// Most jobs.
        limit: usize,
        /// Most jobs in hand of all nodes.
        at_once: Option<u32>,
    },
    /// A node claims one job to run apart.
    ClaimSuspect(usize),
    /// A lease ends.
    End(usize, Ending),
    /// A lease ends that had ended before.
    EndAgain(usize),
    /// A node leaves, and comes back as another.
    Leave(usize),
    /// Due jobs become ready.
    Promote,
    /// A lane is paused.
    Pause(usize),
    /// A lane goes on.
    Resume(usize),
    /// A job is taken back.
    Cancel(usize),
    /// A job is moved.
    Reschedule(usize, bool),
    /// The dead jobs of a lane live again.
    RetryDead(usize),
    /// A dead job of a lane is forgotten.
    DiscardDead(usize),
}

/// A job that enters.
#[derive(Debug, Clone)]
pub struct Entering {
    pub(super) lane: usize,
    pub(super) tenant: usize,
    pub(super) unique: Option<u8>,
    pub(super) waits: bool,
    pub(super) over: bool,
}

/// How a lease ends.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "each is the verdict of its name")]
pub enum Ending {
    Done,
    Retry,
    RetryLater,
    Snooze,
    Crashed,
    CrashedLater,
    Cancel,
    Dead,
    Release,
}

impl Ending {
    pub(super) fn verdict(self) -> Verdict {
        let error = || "no luck".to_owned();
        let retry = |after| Verdict::Retry {
            after,
            error: error(),
        };
        let crashed = |after| Verdict::Crashed {
            after,
            error: error(),
        };
        match self {
            Self::Done => Verdict::Done,
            Self::Retry => retry(Duration::ZERO),
            Self::RetryLater => retry(HOUR),
            Self::Snooze => Verdict::Snooze { after: HOUR },
            Self::Crashed => crashed(Duration::ZERO),
            Self::CrashedLater => crashed(HOUR),
            Self::Cancel => Verdict::Cancel { reason: error() },
            Self::Dead => Verdict::Dead { reason: error() },
            Self::Release => Verdict::Release,
        }
    }
}

fn entering() -> impl Strategy<Value = Entering> {
    let unique = prop::option::weighted(0.2, 0..3_u8);
    let (waits, over) = (prop::bool::weighted(0.15), prop::bool::weighted(0.05));
    (0..LANES, 0..3_usize, unique, waits, over).prop_map(|(lane, tenant, unique, waits, over)| {
        Entering {
            lane,
            tenant,
            unique,
            waits,
            over,
        }
    })
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        3 => Just(Ending::Done),
        3 => Just(Ending::Retry),
        1 => Just(Ending::RetryLater),
        1 => Just(Ending::Snooze),
        5 => Just(Ending::Crashed),
        1 => Just(Ending::CrashedLater),
        1 => Just(Ending::Cancel),
        2 => Just(Ending::Dead),
        3 => Just(Ending::Release),
    ]
}

/// Sequences of so many commands.
pub fn steps(length: Range<usize>) -> impl Strategy<Value = Vec<Step>> {
    let any = any::<usize>;
    let claim = (
        0..NODES,
        0..LANES,
        1..6_usize,
        prop::option::weighted(0.2, 1..4_u32),
    );
    let claim = claim.prop_map(|(node, lane, limit, at_once)| Step::Claim {
        node,
        lane,
        limit,
        at_once,
    });
    let step = prop_oneof![
        6 => vec(entering(), 1..5).prop_map(Step::Push),
        1 => any().prop_map(Step::PushAgain),
        8 => claim,
        3 => (0..NODES).prop_map(Step::ClaimSuspect),
        10 => (any(), ending()).prop_map(|(lease, ending)| Step::End(lease, ending)),
        1 => any().prop_map(Step::EndAgain),
        1 => (0..NODES).prop_map(Step::Leave),
        4 => Just(Step::Promote),
        1 => (0..LANES).prop_map(Step::Pause),
        2 => (0..LANES).prop_map(Step::Resume),
        2 => any().prop_map(Step::Cancel),
        2 => (any(), prop::bool::ANY).prop_map(|(job, later)| Step::Reschedule(job, later)),
        2 => (0..LANES).prop_map(Step::RetryDead),
        1 => (0..LANES).prop_map(Step::DiscardDead),
    ];
    vec(step, length)
}

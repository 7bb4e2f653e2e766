//! `[streams.NAME]`: how the mail of a stream waits, and how it is tried.

use std::time::Duration;

use posthaste_domain::{
    retry_policy::RetryPolicy,
    stream::{OnUncertain, StreamName},
};
use posthaste_mail::recorder::Keep;
use posthaste_queue::SharedLimits;

use super::super::reader::{Reader, positive_duration};
use crate::memory_streams::{MemoryBounds, Unsent, WhenFull};

/// `[streams.NAME]`
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Stream {
    pub name: StreamName,
    /// By which its mail goes, the preferred one first.
    pub transports: Vec<String>,
    pub policy: Policy,
    pub priority: i32,
    pub permits: usize,
    /// Of all nodes together.
    pub shared: SharedLimits,
    pub retry: RetryPolicy,
    pub expiry: Duration,
    pub on_uncertain: OnUncertain,
    /// Which conversations with servers are kept.
    pub transcripts: Option<Keep>,
    pub durability: Durability,
    pub memory: MemoryBounds,
}

/// Where the mail of a stream waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On disk: accepted is kept.
    Durable,
    /// In memory: it may be lost.
    Memory,
}

impl Stream {
    /// The bounds of its memory, if that is where its mail waits.
    #[must_use]
    pub fn in_memory(&self) -> Option<MemoryBounds> {
        match self.durability {
            Durability::Durable => None,
            Durability::Memory => Some(self.memory),
        }
    }

    pub(in super::super) fn read(name: StreamName, mut table: Reader<'_>) -> Self {
        let names = "the name of a transport, or a list of them";
        let transports = table.list("transport", names, |name| Some(name.to_owned()));
        let policy = policy(&mut table, &transports);
        let ladder = "a list of durations above zero such as [\"30 s\", \"2 min\"]";
        let place = table.place("retry");
        let retry = table.list("retry", ladder, positive_duration);
        let retry = RetryPolicy::new(retry).unwrap_or_else(|| {
            if table.sound("retry") {
                table.conflict(&place, "retry", "at least one wait is needed");
            }
            RetryPolicy::new(vec![Duration::from_secs(30)]).expect("one wait is enough")
        });
        let permits = table.integer("permits", "an integer from 1 to 10000", 1, |n| {
            (1..=10_000).contains(n)
        });
        let stream = Self {
            name,
            transports,
            policy,
            priority: table.integer("priority", "an integer", 0, |_| true),
            permits,
            shared: shared_limits(&mut table),
            retry,
            expiry: table.positive_duration("expiry"),
            on_uncertain: table.choice(
                "on_uncertain",
                &[("resend", OnUncertain::Resend), ("hold", OnUncertain::Hold)],
            ),
            transcripts: table.choice(
                "transcripts",
                &[
                    ("failures", Some(Keep::Failures)),
                    ("all", Some(Keep::All)),
                    ("none", None),
                ],
            ),
            durability: table.choice(
                "durability",
                &[
                    ("durable", Durability::Durable),
                    ("memory", Durability::Memory),
                ],
            ),
            memory: memory_bounds(&mut table, permits),
        };
        table.finish();
        stream
    }
}

/// How its transports share the mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// The first, while it works.
    Failover,
    /// Each in its turn, by weight.
    RoundRobin(Vec<u32>),
}

fn policy(table: &mut Reader<'_>, transports: &[String]) -> Policy {
    let by_turns = table.choice("policy", &[("failover", false), ("round_robin", true)]);
    let expected = "a list of integers from 1 to 1000";
    let weight = |text: &str| {
        text.parse()
            .ok()
            .filter(|weight| (1..=1000).contains(weight))
    };
    let weights: Vec<u32> = table.list("weights", expected, weight);
    if !weights.is_empty() && (!by_turns || weights.len() != transports.len()) {
        let place = table.place("weights");
        table.conflict(
            &place,
            "weights",
            "one for each transport, with policy = \"round_robin\"",
        );
    }
    if by_turns {
        Policy::RoundRobin(weights)
    } else {
        Policy::Failover
    }
}

fn shared_limits(table: &mut Reader<'_>) -> SharedLimits {
    let most = table.integer("concurrency", "an integer from 0 to 100000", 0, |n| {
        (0..=100_000_u32).contains(n)
    });
    SharedLimits {
        at_once: (most > 0).then_some(most),
        rate: table.rate("rate"),
    }
}

fn memory_bounds(table: &mut Reader<'_>, permits: usize) -> MemoryBounds {
    let bytes = usize::try_from(table.positive_size("capacity_bytes")).unwrap_or(usize::MAX);
    MemoryBounds {
        capacity: table.integer("capacity", "an integer from 1 to 1000000", 1, |n| {
            (1..=1_000_000).contains(n)
        }),
        // More than anybody has, and all that the room is counted in.
        bytes: bytes.clamp(1, u32::MAX as usize),
        full: table.choice(
            "full_mode",
            &[
                ("wait", WhenFull::Wait),
                ("drop_newest", WhenFull::DropNewest),
                ("drop_oldest", WhenFull::DropOldest),
                ("drop_write", WhenFull::DropWrite),
                ("spill", WhenFull::Spill),
            ],
        ),
        unsent: table.choice(
            "on_shutdown",
            &[("spill", Unsent::Spill), ("drop", Unsent::Drop)],
        ),
        permits,
    }
}

//! The queue as operators see it, in JSON.

use std::time::Duration;

use posthaste_queue::operate::{Cause, DeadJob, LaneStatus};
use serde::Serialize;

/// One stream's jobs.
#[derive(Debug, Serialize)]
pub struct StreamAnswer {
    object: &'static str,
    name: String,
    paused: bool,
    ready: u64,
    scheduled: u64,
    in_hand: u64,
    /// Jobs that wait to run apart, for processes died with them in hand.
    suspect: u64,
    /// Of the oldest live job.
    oldest_age_ms: Option<u64>,
}

impl From<LaneStatus> for StreamAnswer {
    fn from(lane: LaneStatus) -> Self {
        Self {
            object: "stream",
            name: lane.lane.to_string(),
            paused: lane.paused,
            ready: lane.ready,
            scheduled: lane.scheduled,
            in_hand: lane.leased,
            suspect: lane.suspect,
            oldest_age_ms: lane.oldest.map(millis),
        }
    }
}

/// What became of a switch.
#[derive(Debug, Serialize)]
pub struct SwitchAnswer {
    /// Always `stream`.
    pub object: &'static str,
    /// The stream.
    pub name: String,
    /// How it is switched now.
    pub paused: bool,
    /// Nodes that do not act by it yet; empty in any ordinary case.
    pub lagging: Vec<String>,
}

/// A job that needs a person.
#[derive(Debug, Serialize)]
pub struct DeadAnswer {
    object: &'static str,
    id: String,
    stream: String,
    kind: String,
    owner: String,
    cause: &'static str,
    reason: String,
    last_error: Option<String>,
    attempts: u32,
    crashes: u32,
    age_ms: u64,
    dead_for_ms: u64,
    payload: serde_json::Value,
}

impl From<DeadJob> for DeadAnswer {
    fn from(job: DeadJob) -> Self {
        Self {
            object: "dead_job",
            id: job.id.to_string(),
            stream: job.lane.to_string(),
            kind: job.kind,
            owner: job.tenant,
            cause: match job.cause {
                Cause::Dead => "dead",
                Cause::Quarantined => "quarantined",
            },
            reason: job.reason,
            last_error: job.last_error,
            attempts: job.attempts,
            crashes: job.crashes,
            age_ms: millis(job.age),
            dead_for_ms: millis(job.dead_for),
            // Stored as it was given: JSON, unless a later release wrote something else.
            payload: serde_json::from_str(&job.payload)
                .unwrap_or(serde_json::Value::String(job.payload)),
        }
    }
}

/// How many dead jobs a request concerned.
#[derive(Debug, Serialize)]
pub struct CountAnswer {
    /// Always `dead_jobs`.
    pub object: &'static str,
    /// How many.
    pub count: u64,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

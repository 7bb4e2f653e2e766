//! What the worker is told of the streams: each has a lane of jobs.

use std::sync::Arc;

use posthaste_domain::stream::OnUncertain;
use posthaste_queue::{Backoff, Lane, LaneConfig, WorkerConfig};
use posthaste_store::Store;

use crate::{
    scopes::Holding,
    settings::{Settings, Stream},
};

/// The streams whose mail is never sent twice.
pub(super) fn holding(settings: &Settings, store: &Arc<Store>) -> Holding {
    let streams = settings.streams.iter();
    let holding = streams.filter(|stream| stream.on_uncertain == OnUncertain::Hold);
    Holding::new(
        Arc::clone(store),
        holding.map(lane_of),
        settings.redirect_all.is_some(),
    )
}

fn lane_of(stream: &Stream) -> Lane {
    let lane = stream.name.as_str().parse();
    lane.expect("a stream's name names a lane")
}

pub(super) fn config(settings: &Settings) -> WorkerConfig {
    let lane = |stream: &Stream| LaneConfig {
        lane: lane_of(stream),
        priority: stream.priority,
        permits: stream.permits,
        shared: stream.shared,
    };
    WorkerConfig {
        lanes: settings.streams.iter().map(lane).collect(),
        poll: settings.queue.poll,
        recent_claim: settings.queue.recent_claim,
        deadline: settings.queue.job_deadline,
        channel_capacity: settings.queue.channel_capacity,
        backoff: Backoff::default(),
    }
}

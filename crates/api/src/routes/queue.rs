//! `/queue`: what operators do with streams. Scope `admin`, whatever the owner of the key.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
};
use posthaste_domain::{owner::Scope, stream::StreamName};
use posthaste_queue::{Lane, operate::LaneStatus};
use tokio::time::Instant;

use crate::{
    auth::Caller,
    dto::{
        list::ListAnswer,
        queue::{StreamAnswer, SwitchAnswer},
    },
    error::ApiError,
    state::AppState,
};

/// How long a switch waits for all nodes to act by it. They beat once a second.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

/// Shows every stream with its jobs.
///
/// # Errors
/// Why the queue did not answer.
pub async fn streams(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Json<ListAnswer<StreamAnswer>>, ApiError> {
    caller.owner(Scope::Admin)?;
    let known = state.parts.streams.iter().map(|name| {
        let lane = lane(name);
        let idle = LaneStatus::idle(lane.clone());
        (lane, idle)
    });
    let mut lanes: BTreeMap<Lane, LaneStatus> = known.collect();
    let busy = state.parts.operator.lanes().await?;
    lanes.extend(busy.into_iter().map(|status| (status.lane.clone(), status)));
    let data = lanes.into_values().map(StreamAnswer::from).collect();
    Ok(Json(ListAnswer::all(data)))
}

/// Pauses a stream, on every node.
///
/// # Errors
/// `not_found` for a stream that is not configured, or why the queue did not answer.
pub async fn pause(
    State(state): State<AppState>,
    caller: Caller,
    name: Path<String>,
) -> Result<Json<SwitchAnswer>, ApiError> {
    switch(&state, &caller, &name, true).await
}

/// Lets a stream go on, on every node.
///
/// # Errors
/// The same.
pub async fn resume(
    State(state): State<AppState>,
    caller: Caller,
    name: Path<String>,
) -> Result<Json<SwitchAnswer>, ApiError> {
    switch(&state, &caller, &name, false).await
}

async fn switch(
    state: &AppState,
    caller: &Caller,
    name: &str,
    paused: bool,
) -> Result<Json<SwitchAnswer>, ApiError> {
    caller.owner(Scope::Admin)?;
    let known = state
        .parts
        .streams
        .iter()
        .find(|known| known.as_str() == name);
    let lane = lane(known.ok_or_else(ApiError::not_found)?);
    let operator = &state.parts.operator;
    let version = if paused {
        operator.pause(&lane).await?
    } else {
        operator.resume(&lane).await?
    };
    let began = Instant::now();
    let mut lagging = operator.lagging(version).await?;
    while !lagging.is_empty() && began.elapsed() < PATIENCE {
        tokio::time::sleep(LOOK).await;
        lagging = operator.lagging(version).await?;
    }
    tracing::info!(stream = %lane, paused, lagging = lagging.len(), "a stream was switched");
    Ok(Json(SwitchAnswer {
        object: "stream",
        name: lane.to_string(),
        paused,
        lagging: lagging.iter().map(ToString::to_string).collect(),
    }))
}

fn lane(stream: &StreamName) -> Lane {
    stream
        .as_str()
        .parse()
        .expect("a stream's name names a lane")
}

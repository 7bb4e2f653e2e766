//! `/queue/dead`: jobs that need a person, put back or dropped singly or by filter. Scope `admin`.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use posthaste_domain::owner::Scope;
use posthaste_queue::{
    JobId,
    operate::{Cause, DeadFilter},
};
use serde::Deserialize;

use crate::{
    auth::Caller,
    dto::{
        problems::{Pointer, Problems},
        queue::{CountAnswer, DeadAnswer, ListAnswer},
    },
    error::{ApiError, ErrorKind},
    routes::path::Id,
    state::AppState,
};

/// Jobs of one write; a request by filter goes on until none is left.
const STEP: u32 = 1000;

/// What stands behind the question mark. What is not named does not matter.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    stream: Option<String>,
    kind: Option<String>,
    owner: Option<String>,
    cause: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
    all: Option<bool>,
}

impl Wanted {
    fn filter(&self) -> Result<DeadFilter, ApiError> {
        let mut problems = Problems::default();
        let at = |name| Pointer::root().member(name);
        let lane = self.stream.as_ref().map(|name| name.parse());
        if matches!(lane, Some(Err(_))) {
            problems.invalid(at("stream"), "no stream has such a name");
        }
        let cause = match self.cause.as_deref() {
            None => None,
            Some("dead") => Some(Cause::Dead),
            Some("quarantined") => Some(Cause::Quarantined),
            Some(_) => {
                problems.invalid(at("cause"), "is `dead` or `quarantined`");
                None
            }
        };
        if !problems.is_empty() {
            return Err(problems.into());
        }
        Ok(DeadFilter {
            id: None,
            lane: lane.and_then(Result::ok),
            kind: self.kind.clone(),
            tenant: self.owner.clone(),
            cause,
        })
    }

    /// The filter of a change: everything only where that was said.
    fn filter_of_change(&self) -> Result<DeadFilter, ApiError> {
        let filter = self.filter()?;
        if filter == DeadFilter::default() && self.all != Some(true) {
            let mut problems = Problems::default();
            problems.missing(
                Pointer::root().member("all"),
                "name a stream, kind, owner or cause, or say all=true",
            );
            return Err(problems.into());
        }
        Ok(filter)
    }
}

type WantedQuery = Result<Query<Wanted>, QueryRejection>;

fn read(query: WantedQuery) -> Result<Wanted, ApiError> {
    let Query(wanted) = query.map_err(|rejection| {
        ApiError::new(
            ErrorKind::ValidationError,
            format!("the query cannot be read: {}", rejection.body_text()),
        )
    })?;
    Ok(wanted)
}

/// Lists dead jobs, the newest first.
///
/// # Errors
/// `validation_error` for a query that says nothing sensible, or why the queue did not answer.
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    query: WantedQuery,
) -> Result<Json<ListAnswer<DeadAnswer>>, ApiError> {
    caller.owner(Scope::Admin)?;
    let wanted = read(query)?;
    let filter = wanted.filter()?;
    let limit = wanted.limit.unwrap_or(20);
    if !(1..=100).contains(&limit) {
        let mut problems = Problems::default();
        problems.invalid(Pointer::root().member("limit"), "is from 1 to 100");
        return Err(problems.into());
    }
    let after = wanted.after.as_deref().map(str::parse::<JobId>);
    let Ok(after) = after.transpose() else {
        let mut problems = Problems::default();
        problems.invalid(Pointer::root().member("after"), "is the id of a dead job");
        return Err(problems.into());
    };
    // One more than shown tells whether there are more.
    let mut jobs = state.parts.operator.dead(&filter, after, limit + 1).await?;
    let has_more = jobs.len() > limit as usize;
    jobs.truncate(limit as usize);
    let data = jobs.into_iter().map(DeadAnswer::from).collect();
    Ok(Json(ListAnswer::page(data, has_more)))
}

/// Puts one dead job back.
///
/// # Errors
/// `not_found`, or why the queue did not answer.
pub async fn retry(
    State(state): State<AppState>,
    caller: Caller,
    id: Id<JobId>,
) -> Result<Json<CountAnswer>, ApiError> {
    caller.owner(Scope::Admin)?;
    let count = state.parts.operator.retry_dead(&only(id)?, 1).await?;
    one(count)
}

/// Drops one dead job.
///
/// # Errors
/// The same.
pub async fn drop(
    State(state): State<AppState>,
    caller: Caller,
    id: Id<JobId>,
) -> Result<Json<CountAnswer>, ApiError> {
    caller.owner(Scope::Admin)?;
    let count = state.parts.operator.discard_dead(&only(id)?, 1).await?;
    one(count)
}

/// Puts all dead jobs of a filter back.
///
/// # Errors
/// `missing_required_field` without a filter and without `all=true`, or why the queue did not answer.
pub async fn retry_all(
    State(state): State<AppState>,
    caller: Caller,
    query: WantedQuery,
) -> Result<Json<CountAnswer>, ApiError> {
    caller.owner(Scope::Admin)?;
    let filter = read(query)?.filter_of_change()?;
    let mut count = 0;
    loop {
        let step = state.parts.operator.retry_dead(&filter, STEP).await?;
        count += step;
        if step == 0 {
            return Ok(counted(count));
        }
    }
}

/// Drops all dead jobs of a filter.
///
/// # Errors
/// The same.
pub async fn drop_all(
    State(state): State<AppState>,
    caller: Caller,
    query: WantedQuery,
) -> Result<Json<CountAnswer>, ApiError> {
    caller.owner(Scope::Admin)?;
    let filter = read(query)?.filter_of_change()?;
    let mut count = 0;
    loop {
        let step = state.parts.operator.discard_dead(&filter, STEP).await?;
        count += step;
        if step == 0 {
            return Ok(counted(count));
        }
    }
}

fn only(id: Id<JobId>) -> Result<DeadFilter, ApiError> {
    Ok(DeadFilter {
        id: Some(id.known()?),
        ..DeadFilter::default()
    })
}

fn one(count: u64) -> Result<Json<CountAnswer>, ApiError> {
    if count == 0 {
        return Err(ApiError::not_found());
    }
    Ok(counted(count))
}

fn counted(count: u64) -> Json<CountAnswer> {
    Json(CountAnswer {
        object: "dead_jobs",
        count,
    })
}

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
use tokio::time::Instant;

use crate::{
    auth::Caller,
    dto::{
        list::ListAnswer,
        problems::{Pointer, Problems},
        queue::{CountAnswer, DeadAnswer},
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
            dead_for: None,
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
    if let Some(after) = after
        && state
            .parts
            .operator
            .dead(&only(after), None, 1)
            .await?
            .is_empty()
    {
        // An empty page would say that there are no more.
        let mut problems = Problems::default();
        let gone = "this job is not dead any more: begin with the first page";
        problems.invalid(Pointer::root().member("after"), gone);
        return Err(problems.into());
    }
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
    single(&state, &caller, id, Change::Retry).await
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
    single(&state, &caller, id, Change::Drop).await
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
    every(&state, &caller, query, Change::Retry).await
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
    every(&state, &caller, query, Change::Drop).await
}

/// What becomes of dead jobs.
#[derive(Clone, Copy)]
enum Change {
    Retry,
    Drop,
}

impl Change {
    async fn of(self, state: &AppState, filter: &DeadFilter, limit: u32) -> Result<u64, ApiError> {
        let operator = &state.parts.operator;
        Ok(match self {
            Self::Retry => operator.retry_dead(filter, limit).await?,
            Self::Drop => operator.discard_dead(filter, limit).await?,
        })
    }
}

async fn single(
    state: &AppState,
    caller: &Caller,
    id: Id<JobId>,
    change: Change,
) -> Result<Json<CountAnswer>, ApiError> {
    caller.owner(Scope::Admin)?;
    match change.of(state, &only(id.known()?), 1).await? {
        0 => Err(ApiError::not_found()),
        count => Ok(counted(count)),
    }
}

async fn every(
    state: &AppState,
    caller: &Caller,
    query: WantedQuery,
    change: Change,
) -> Result<Json<CountAnswer>, ApiError> {
    caller.owner(Scope::Admin)?;
    let mut filter = read(query)?.filter_of_change()?;
    let (began, mut count) = (Instant::now(), 0);
    loop {
        // What dies again meanwhile is not put back once more.
        filter.dead_for = Some(began.elapsed());
        match change.of(state, &filter, STEP).await? {
            0 => return Ok(counted(count)),
            step => count += step,
        }
    }
}

fn only(id: JobId) -> DeadFilter {
    DeadFilter {
        id: Some(id),
        ..DeadFilter::default()
    }
}

fn counted(count: u64) -> Json<CountAnswer> {
    Json(CountAnswer {
        object: "dead_jobs",
        count,
    })
}

//! Probes. `/livez` (and `/healthz`, its old name): the process turns; the database is never asked, so that its outage
//! restarts nothing. `/readyz`: requests should come here.

use axum::{
    Json,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use posthaste_composition::{Check, Weight};
use serde_json::{Value, json};

use crate::{error::ApiError, state::AppState};

/// The paths of probes.
pub const PATHS: [&str; 3] = ["/livez", "/readyz", "/healthz"];

/// The process turns.
pub async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Whether requests should come here; `?verbose` lists what was looked at, without hosts or causes, and what was measured of
/// a database that nodes share.
///
/// # Errors
/// `service_unavailable` while the process starts or drains, or its store does not answer.
pub async fn ready(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let checks = state.parts.readiness.checks().await;
    let verbose = query.is_some_and(|query| {
        query
            .split('&')
            .any(|pair| pair == "verbose" || pair.starts_with("verbose="))
    });
    let listed = verbose.then(|| list(&checks));
    if !checks.iter().any(Check::forbids) {
        let mut answer = json!({ "status": "ready" });
        if let Some(listed) = listed {
            answer["checks"] = listed;
        }
        return Ok(Json(answer).into_response());
    }
    let error = ApiError::unavailable("not ready", 1);
    Err(match listed {
        Some(listed) => error.with_member("checks", listed),
        None => error,
    })
}

fn list(checks: &[Check]) -> Value {
    let told = |check: &Check| match check.weight {
        Weight::Decides => json!({ "name": check.name, "ok": check.ok }),
        Weight::Tells(seconds) => {
            let seconds = (seconds * 1000.0).round() / 1000.0;
            json!({ "name": check.name, "ok": check.ok, "seconds": seconds })
        }
    };
    checks.iter().map(told).collect()
}

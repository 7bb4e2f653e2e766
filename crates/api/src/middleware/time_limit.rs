//! The time limit of a request. Only the waiting ends: what was handed to the store is the store's, and is committed or
//! not as if the caller had waited (I31).

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time::timeout;

use crate::{error::ApiError, state::AppState};

/// Runs the request until its answer or the limit.
pub async fn limit(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let limit = state.parts.limits.request;
    match timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = "this took too long. It is not known whether anything was stored: repeating the request \
                          with the same Idempotency-Key settles it";
            ApiError::unavailable(detail, 5).into_response()
        }
    }
}

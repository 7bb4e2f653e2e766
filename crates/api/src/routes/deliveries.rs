//! `GET /emails/{id}/deliveries`: each recipient of a message with every attempt.

use axum::{Json, extract::State};
use posthaste_domain::{id::MessageId, owner::Scope};

use crate::{
    auth::Caller, dto::delivery::DeliveriesAnswer, error::ApiError, routes::path::Id,
    state::AppState,
};

/// Lists the deliveries of a message.
///
/// # Errors
/// `not_found`, or why the store did not answer.
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    id: Id<MessageId>,
) -> Result<Json<DeliveriesAnswer>, ApiError> {
    let owner = caller.owner(Scope::Read)?;
    let deliveries = state.parts.messages.deliveries(owner, id.known()?).await?;
    let is_operator = caller.owner(Scope::Admin).is_ok();
    let deliveries = deliveries.ok_or_else(ApiError::not_found)?;
    Ok(Json(DeliveriesAnswer::new(&deliveries, is_operator)))
}

//! `GET /emails/{id}`: a message of the caller. Another owner's looks like one that never was.

use axum::{Json, extract::State};
use posthaste_domain::{id::MessageId, owner::Scope};

use crate::{
    auth::Caller,
    dto::message::MessageAnswer,
    error::ApiError,
    routes::{list::answer, path::Id},
    state::AppState,
};

/// Shows a message.
///
/// # Errors
/// `not_found`, or why the store did not answer.
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    id: Id<MessageId>,
) -> Result<Json<MessageAnswer>, ApiError> {
    let owner = caller.owner(Scope::Read)?;
    let id = id.known()?;
    let stored = state.parts.messages.message(owner, id).await?;
    let stored = stored.ok_or_else(ApiError::not_found)?;
    answer(&state, owner, stored).await.map(Json)
}

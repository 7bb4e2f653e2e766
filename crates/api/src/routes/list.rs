//! `GET /emails`: the caller's messages, the newest first.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use posthaste_domain::{
    delivery::MessageStatus,
    owner::{Owner, Scope},
    stores::StoredMessage,
};

use crate::{
    auth::Caller,
    dto::{
        list::ListAnswer,
        message::{MessageAnswer, Refusal},
        wanted::Wanted,
    },
    error::{ApiError, ErrorKind},
    state::AppState,
};

/// Lists messages, without what they say.
///
/// # Errors
/// `invalid_parameter` for a query that says nothing sensible, or why the store did not answer.
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<ListAnswer<MessageAnswer>>, ApiError> {
    let owner = caller.owner(Scope::Read)?;
    let Query(query) = query.map_err(|rejection| {
        let detail = format!("the query cannot be read: {}", rejection.body_text());
        ApiError::new(ErrorKind::InvalidParameter, detail)
    })?;
    let Wanted { filter, at, limit } = Wanted::read(query).map_err(ApiError::invalid_parameters)?;
    let page = state.parts.lists.list(owner, &filter, at, limit).await?;
    let mut data = Vec::with_capacity(page.messages.len());
    for stored in page.messages {
        data.push(answer(&state, owner, stored).await?.without_bodies());
    }
    Ok(Json(ListAnswer::page(data, page.has_more)))
}

/// A message as its owner reads it.
pub(super) async fn answer(
    state: &AppState,
    owner: &Owner,
    stored: StoredMessage,
) -> Result<MessageAnswer, ApiError> {
    let status = stored.status();
    let refusal = if status == MessageStatus::Failed {
        let id = stored.message.id;
        let deliveries = state.parts.messages.deliveries(owner, id).await?;
        Refusal::of(&deliveries.unwrap_or_default())
    } else {
        Refusal::Other
    };
    Ok(MessageAnswer::new(stored, status, refusal))
}

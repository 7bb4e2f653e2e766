//! `POST /emails/{id}/cancel`: takes a mail back that no worker holds.

use axum::{Json, extract::State};
use posthaste_domain::{delivery::MessageStatus, id::MessageId, owner::Scope};
use posthaste_queue::{JobId, operate::Cancelled};

use crate::{
    auth::Caller,
    dto::message::{ChangedAnswer, status_word},
    error::{ApiError, ErrorKind},
    routes::path::Id,
    state::AppState,
};

/// Cancels a mail: scheduled, queued or waiting for another attempt. To repeat it changes nothing.
///
/// # Errors
/// `not_found`; `resource_locked` while a worker has it in hand; `validation_error` if it has ended otherwise.
pub async fn cancel(
    State(state): State<AppState>,
    caller: Caller,
    id: Id<MessageId>,
) -> Result<Json<ChangedAnswer>, ApiError> {
    let owner = caller.owner(Scope::Send)?;
    let id = id.known()?;
    let messages = &state.parts.messages;
    messages
        .message(owner, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    // The job that sends a message has its id.
    let job = JobId::from_uuid(id.as_uuid());
    match state.parts.operator.cancel(job).await? {
        Cancelled::Cancelled => {}
        Cancelled::InHand => return Err(ApiError::locked("a worker is sending this mail")),
        Cancelled::Absent => {
            let stored = messages.message(owner, id).await?;
            let stored = stored.ok_or_else(ApiError::not_found)?;
            let status = stored.status();
            if status != MessageStatus::Cancelled {
                let word = status_word(status);
                return Err(ApiError::new(
                    ErrorKind::ValidationError,
                    format!("this mail can not be cancelled any more: it is {word}"),
                ));
            }
        }
    }
    Ok(Json(ChangedAnswer::of(id)))
}

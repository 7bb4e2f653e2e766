//! `POST /emails/{id}/resend`: a new mail of the same content, whatever became of the first.

use std::sync::Arc;

use axum::{Json, extract::State};
use posthaste_domain::{
    id::MessageId,
    message::{AttachedBytes, NewMessage},
    owner::Scope,
};

use crate::{
    auth::Caller,
    dto::message::ChangedAnswer,
    error::{ApiError, ErrorKind},
    routes::path::Id,
    state::AppState,
};

/// Makes a new mail of a mail: the same content by the same version of its template, to the same recipients, under an id of its
/// own. It is due at once and on disk, whatever its stream.
///
/// # Errors
/// `not_found`; what the key may not use; `validation_error` where its content was removed, or its stream is not configured any more;
/// `service_unavailable` while too much is read at once.
pub async fn resend(
    State(state): State<AppState>,
    caller: Caller,
    id: Id<MessageId>,
) -> Result<Json<ChangedAnswer>, ApiError> {
    let owner = caller.owner(Scope::Admin)?;
    let stored = state.parts.messages.message(owner, id.known()?).await?;
    let stored = stored.ok_or_else(ApiError::not_found)?;
    if stored.removed {
        return Err(removed());
    }
    let mut message = stored.message;
    caller.may_send(&message.stream, Some(&message.from))?;
    let _reserved = state.bodies.reserve_answer(message.wire_size())?;
    load(&state, &mut message).await?;
    let again = state.parts.desk.again(message);
    let again =
        again.map_err(|error| ApiError::new(ErrorKind::ValidationError, error.to_string()))?;
    let id = again.id;
    state.parts.desk.submit_all(vec![again]).await?;
    Ok(Json(ChangedAnswer::of(id)))
}

async fn load(state: &AppState, message: &mut NewMessage) -> Result<(), ApiError> {
    for file in &mut message.attachments {
        let bytes = state
            .parts
            .attachments
            .attached(message.id, file.id)
            .await?;
        file.bytes = AttachedBytes::Here(Arc::new(bytes.ok_or_else(removed)?));
    }
    Ok(())
}

fn removed() -> ApiError {
    let detail = "the content of this mail was removed";
    ApiError::new(ErrorKind::ValidationError, detail)
}

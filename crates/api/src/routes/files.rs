//! `GET /emails/{id}/attachments`, what they hold, and `GET /emails/{id}/raw`.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use posthaste_domain::{
    id::{AttachmentId, MessageId},
    message::{AtRest, Attachment, Content},
    owner::{Owner, Scope},
    raw::NotWritten,
    stores::StoredMessage,
};

use crate::{
    auth::Caller,
    dto::{attachment::AttachmentAnswer, list::ListAnswer},
    error::{ApiError, ErrorKind},
    held::held,
    routes::path::{Id, Ids},
    state::AppState,
};

/// What stands for itself in a parameter of a header (RFC 8187 section 3.2.1).
const ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Lists the attachments of a mail.
///
/// # Errors
/// `not_found`, or why the store did not answer.
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    id: Id<MessageId>,
) -> Result<Json<ListAnswer<AttachmentAnswer>>, ApiError> {
    let owner = caller.owner(Scope::Read)?;
    let stored = stored(&state, owner, id.known()?).await?;
    let answer = |file: &Attachment| AttachmentAnswer::new(&state.parts, &stored.message, file);
    let all = stored.message.attachments.iter().map(answer).collect();
    Ok(Json(ListAnswer::page(all, false)))
}

/// Shows an attachment, without what it holds.
///
/// # Errors
/// `not_found`, or why the store did not answer.
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    ids: Ids<MessageId, AttachmentId>,
) -> Result<Json<AttachmentAnswer>, ApiError> {
    let owner = caller.owner(Scope::Read)?;
    let (message, id) = ids.known()?;
    let stored = stored(&state, owner, message).await?.message;
    let mut files = stored.attachments.iter();
    let file = files
        .find(|file| file.id == id)
        .ok_or_else(ApiError::not_found)?;
    Ok(Json(AttachmentAnswer::new(&state.parts, &stored, file)))
}

/// What an attachment holds, as a download: no browser is to show it as a page of ours.
///
/// # Errors
/// `not_found`, also where it was removed because its time was over; `service_unavailable` while too much is read at once.
pub async fn content(
    State(state): State<AppState>,
    caller: Caller,
    ids: Ids<MessageId, AttachmentId>,
) -> Result<Response, ApiError> {
    let owner = caller.owner(Scope::Read)?;
    let (message, id) = ids.known()?;
    let file = file(stored(&state, owner, message).await?, id)?;
    let reserved = state.bodies.reserve_answer(file.bytes.size())?;
    let bytes = state.parts.attachments.attached(message, id).await?;
    let bytes = bytes.ok_or_else(ApiError::not_found)?;
    let name = utf8_percent_encode(file.name.as_str(), ATTR_CHAR);
    let disposition = format!("attachment; filename*=UTF-8''{name}");
    let headers = [
        (
            header::CONTENT_TYPE,
            header_value(file.media_type.as_str())?,
        ),
        (header::CONTENT_DISPOSITION, header_value(&disposition)?),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("sandbox; default-src 'none'"),
        ),
    ];
    Ok((headers, held(bytes, reserved)).into_response())
}

/// The mail as it goes over the wire, hidden recipients left out.
///
/// # Errors
/// `not_found`; `validation_error` where its content was removed, or opens an account; `service_unavailable` while too much is
/// read at once.
pub async fn raw(
    State(state): State<AppState>,
    caller: Caller,
    id: Id<MessageId>,
) -> Result<Response, ApiError> {
    let owner = caller.owner(Scope::Admin)?;
    let stored = stored(&state, owner, id.known()?).await?;
    if stored.removed {
        let detail = "the content of this mail was removed";
        return Err(ApiError::new(ErrorKind::ValidationError, detail));
    }
    if let Content::Template {
        at_rest: AtRest::Sealed,
        ..
    } = stored.message.content
    {
        // Whoever holds a key could ask for a new password and read its link here.
        let detail = "this mail holds a secret of its recipient, and is shown to nobody else";
        return Err(ApiError::new(ErrorKind::ValidationError, detail));
    }
    let reserved = state.bodies.reserve_answer(stored.message.wire_size())?;
    let bytes = state.parts.writer.write(stored.message).await;
    let bytes = bytes.map_err(|error| match error {
        NotWritten::NoRoom => ApiError::unavailable("too many large mails at once", 2),
        NotWritten::Store(error) => error.into(),
        NotWritten::Never(_) => ApiError::new(ErrorKind::ValidationError, error.to_string()),
        NotWritten::Fault(_) => ApiError::internal(error),
    })?;
    let kind = HeaderValue::from_static("message/rfc822");
    Ok(([(header::CONTENT_TYPE, kind)], held(bytes, reserved)).into_response())
}

async fn stored(state: &AppState, owner: &Owner, id: MessageId) -> Result<StoredMessage, ApiError> {
    let stored = state.parts.messages.message(owner, id).await?;
    stored.ok_or_else(ApiError::not_found)
}

fn file(stored: StoredMessage, id: AttachmentId) -> Result<Attachment, ApiError> {
    let mut files = stored.message.attachments.into_iter();
    files
        .find(|file| file.id == id)
        .ok_or_else(ApiError::not_found)
}

fn header_value(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text).map_err(ApiError::internal)
}

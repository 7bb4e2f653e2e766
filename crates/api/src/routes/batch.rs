//! `POST /emails/batch`: takes up to a hundred mails in one transaction.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode},
    response::Response,
};
use posthaste_domain::{
    desk::Once,
    idempotency::{Answer, Idempotency},
    message::NewMessage,
    owner::Scope,
};

use crate::{
    auth::Caller,
    body::require_json,
    dto::{
        batch::{Batch, BatchAnswer, Mode},
        json,
    },
    error::{ApiError, ErrorKind},
    routes::submit::{idempotency_key, respond, told},
    state::AppState,
};

/// Whether one mail that cannot be taken refuses all: `strict` or `permissive`.
pub const BATCH_VALIDATION: HeaderName = HeaderName::from_static("x-batch-validation");
/// What the keys of this route are kept under.
const ROUTE: &str = "POST /emails/batch";

/// Takes several mails: all or none (`strict`), or those that can be taken (`permissive`); these in one transaction. They
/// are on disk, whatever their streams.
///
/// # Errors
/// All that is wrong with any of them at once, or why the store did not take them.
pub async fn submit(
    State(state): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let owner = caller.owner(Scope::Send)?.clone();
    require_json(&headers)?;
    let key = idempotency_key(&headers)?;
    let mode = mode(&headers)?;
    let body = state.bodies.receive(&headers, body).await?;
    let read = json::read_with_files(body.bytes())?;
    let _reserved = body.read();
    let desk = &state.parts.desk;
    let batch = Batch::read(read, &owner, &state.parts.default_stream)?;
    let request = key.map(|key| Idempotency {
        route: ROUTE.to_owned(),
        key,
        fingerprint: batch.fingerprint(mode),
    });
    let taken = match batch.determine(desk, &caller, mode) {
        Ok(taken) => taken,
        // It may have been accepted before: when its time was not over yet, or its template another.
        Err(refused) => {
            let before = match &request {
                Some(request) => desk.answered(&owner, request).await?,
                None => None,
            };
            return match before {
                Some(answer) => told(Once::Before(answer)),
                None => Err(refused),
            };
        }
    };
    let answer = answer(&taken.answer);
    if taken.messages.is_empty() {
        return respond(answer);
    }
    take(&state, taken.messages, request, answer).await
}

async fn take(
    state: &AppState,
    messages: Vec<NewMessage>,
    request: Option<Idempotency>,
    answer: Answer,
) -> Result<Response, ApiError> {
    let desk = &state.parts.desk;
    match request {
        Some(request) => told(desk.submit_all_once(messages, request, answer).await?),
        None => {
            desk.submit_all(messages).await?;
            respond(answer)
        }
    }
}

fn mode(headers: &HeaderMap) -> Result<Mode, ApiError> {
    match headers.get(BATCH_VALIDATION).map(|value| value.as_bytes()) {
        None | Some(b"strict") => Ok(Mode::Strict),
        Some(b"permissive") => Ok(Mode::Permissive),
        Some(_) => {
            let detail = "x-batch-validation is `strict` or `permissive`";
            Err(ApiError::new(ErrorKind::InvalidParameter, detail))
        }
    }
}

fn answer(answer: &BatchAnswer) -> Answer {
    let body = serde_json::to_string(answer);
    Answer {
        status: StatusCode::OK.as_u16(),
        body: body.expect("lists of text are JSON"),
    }
}

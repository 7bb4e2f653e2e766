//! `POST /emails`: takes a mail. The answer comes after the commit (P1).

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use posthaste_domain::{
    desk::{Once, SubmitError, Submitted},
    id::MessageId,
    idempotency::{Answer, Idempotency, IdempotencyKey},
    owner::Scope,
};

use crate::{
    auth::Caller,
    body::require_json,
    dto::{
        fingerprint, json,
        message::SubmitAnswer,
        problems::Problems,
        submit::{Submit, with_desk},
    },
    error::{ApiError, ErrorKind},
    state::AppState,
};

/// The submitter's own name for a submit.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is the stored one of an earlier submit.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// What the keys of this route are kept under.
const ROUTE: &str = "POST /emails";

/// Takes a mail.
///
/// # Errors
/// All that is wrong with the request at once, before anything is stored; or why the store did not take it.
pub async fn submit(
    State(state): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let owner = caller.owner(Scope::Send)?.clone();
    require_json(&headers)?;
    let key = idempotency_key(&headers)?;
    let body = state.bodies.receive(&headers, body).await?;
    let (document, problems, mut files) = json::read_with_files(body.bytes())?;
    let _reserved = body.read();
    let submit = Submit::read(
        document,
        &mut files,
        problems,
        owner,
        &state.parts.default_stream,
    );
    let draft = submit.into_draft(&state.parts.desk)?;
    caller.may_submit(&draft)?;
    let desk = &state.parts.desk;
    let Some(key) = key else {
        let submitted = desk.submit(draft).await.map_err(refused)?;
        return respond(match submitted {
            Submitted::Stored(id) => answer(id),
            Submitted::InMemory(id) => unstored(id, false),
            Submitted::Dropped(id) => unstored(id, true),
        });
    };
    let request = Idempotency {
        route: ROUTE.to_owned(),
        key,
        fingerprint: fingerprint::of(&draft),
    };
    let ended = desk.submit_once(draft, request, answer).await;
    told(ended.map_err(refused)?)
}

/// What a submitter is told of a request under a key.
pub(super) fn told(ended: Once) -> Result<Response, ApiError> {
    match ended {
        Once::Now(answer) => respond(answer),
        Once::Before(answer) => respond(answer).map(replayed),
        Once::KeyReused => {
            let detail = "this Idempotency-Key was used before, for another request";
            Err(ApiError::new(ErrorKind::InvalidIdempotentRequest, detail))
        }
        Once::InProgress => Err(ApiError::concurrent_requests()),
    }
}

pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, ApiError> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(first) = given.next() else {
        return Ok(None);
    };
    let key = first.to_str().ok().and_then(|text| text.parse().ok());
    match (key, given.next()) {
        (Some(key), None) => Ok(Some(key)),
        _ => {
            let detail = "send one Idempotency-Key of 1 to 256 visible ASCII characters";
            Err(ApiError::new(ErrorKind::InvalidIdempotencyKey, detail))
        }
    }
}

/// The answer to a mail that was stored, as it is sent and as it is kept for repeats.
fn answer(id: MessageId) -> Answer {
    written(
        StatusCode::OK,
        &SubmitAnswer {
            id: id.to_string(),
            durability: None,
            dropped: false,
        },
    )
}

/// The answer to a mail that is not on disk.
fn unstored(id: MessageId, dropped: bool) -> Answer {
    written(
        StatusCode::ACCEPTED,
        &SubmitAnswer {
            id: id.to_string(),
            durability: Some("memory"),
            dropped,
        },
    )
}

fn written(status: StatusCode, answer: &SubmitAnswer) -> Answer {
    let body = serde_json::to_string(answer);
    Answer {
        status: status.as_u16(),
        body: body.expect("a struct of text is JSON"),
    }
}

pub(super) fn respond(answer: Answer) -> Result<Response, ApiError> {
    // Kept answers come out of the database.
    let status = StatusCode::from_u16(answer.status).map_err(ApiError::internal)?;
    let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((status, json, answer.body).into_response())
}

fn replayed(mut response: Response) -> Response {
    let replayed = HeaderValue::from_static("true");
    response
        .headers_mut()
        .insert(IDEMPOTENCY_REPLAYED, replayed);
    response
}

fn refused(error: SubmitError) -> ApiError {
    match error {
        SubmitError::Invalid(found) => with_desk(Problems::default(), found).into(),
        SubmitError::Store(error) => error.into(),
    }
}

//! `POST /emails`: takes a mail. The answer comes after the commit (P1).

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{IntoResponse, Response},
};
use posthaste_domain::{
    desk::SubmitError,
    idempotency::{Idempotency, IdempotencyKey},
    message::Draft,
    owner::Scope,
    stores::Accepted,
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
    let (document, problems) = json::read(body.bytes())?;
    let submit = Submit::read(document, problems, owner, &state.parts.default_stream);
    let draft = submit.into_draft(&state.parts.desk)?;
    let idempotency = key.map(|key| idempotency(key, &draft));
    let (id, accepted) = state
        .parts
        .desk
        .submit(draft, idempotency)
        .await
        .map_err(refused)?;
    match accepted {
        Accepted::Stored => Ok(answer(id.to_string())),
        Accepted::Replayed(first) => {
            let mut response = answer(first.to_string());
            let replayed = HeaderValue::from_static("true");
            response
                .headers_mut()
                .insert(IDEMPOTENCY_REPLAYED, replayed);
            Ok(response)
        }
        Accepted::KeyReused => {
            let detail = "this Idempotency-Key was used before, for another request";
            Err(ApiError::new(ErrorKind::InvalidIdempotentRequest, detail))
        }
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, ApiError> {
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

fn idempotency(key: IdempotencyKey, draft: &Draft) -> Idempotency {
    Idempotency {
        route: ROUTE.to_owned(),
        key,
        fingerprint: fingerprint::of(draft),
    }
}

fn answer(id: String) -> Response {
    Json(SubmitAnswer { id }).into_response()
}

fn refused(error: SubmitError) -> ApiError {
    match error {
        SubmitError::Invalid(found) => with_desk(Problems::default(), found).into(),
        SubmitError::Store(error) => error.into(),
    }
}

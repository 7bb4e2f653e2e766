//! `PATCH /emails/{id}`, and `POST /emails/{id}/resolve` and `/retry`: what a person decides about a mail that waits for its
//! time, or has ended.

use std::str::FromStr;

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use posthaste_domain::{
    id::MessageId,
    message::When,
    owner::Scope,
    stores::{Decided, Move, Resolution},
};

use crate::{
    auth::Caller,
    body::require_json,
    dto::{fields::Fields, json, message::ChangedAnswer, problems::Problems},
    error::{ApiError, ErrorKind},
    routes::path::Id,
    state::{AppState, Parts},
};

/// The word of a resolution.
struct As(Resolution);

impl FromStr for As {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "delivered" => Ok(Self(Resolution::Delivered)),
            "failed" => Ok(Self(Resolution::Failed)),
            _ => Err("`delivered` or `failed` is expected"),
        }
    }
}

/// Ends deliveries whose outcome is unknown: `{"as": "delivered"}` or `"failed"`.
///
/// # Errors
/// `not_found`; `validation_error` if none is unknown, or for another document.
pub async fn resolve(
    State(state): State<AppState>,
    caller: Caller,
    id: Id<MessageId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ChangedAnswer>, ApiError> {
    let owner = caller.owner(Scope::Admin)?;
    let id = id.known()?;
    let (mut fields, mut problems) = document(&state, &headers, body).await?;
    let resolution = fields.require("as", &mut problems);
    let resolution = resolution.and_then(|word| word.parse::<As>(&mut problems));
    fields.finish(&mut problems);
    let Some(As(resolution)) = resolution.filter(|_| problems.is_empty()) else {
        return Err(problems.into());
    };
    let decided = state.parts.decisions.resolve(owner, id, resolution).await?;
    answer(decided, id, "no delivery of this mail is uncertain")
}

/// Sends a mail again to those recipients whose delivery failed, expired or has an unknown outcome: the same bytes under the
/// same `Message-ID`.
///
/// # Errors
/// `not_found`; `resource_locked` while a worker has it in hand; `validation_error` if nothing of it failed, expired or is
/// unknown, or its content was removed.
pub async fn retry(
    State(state): State<AppState>,
    caller: Caller,
    id: Id<MessageId>,
) -> Result<Json<ChangedAnswer>, ApiError> {
    let owner = caller.owner(Scope::Admin)?;
    let id = id.known()?;
    let decided = state.parts.decisions.retry(owner, id).await?;
    answer(
        decided,
        id,
        "no delivery of this mail has failed, expired or is uncertain",
    )
}

/// Moves a mail that waits for its time to another one: `{"scheduled_at": …}`. Clients repeat other members, which are not
/// looked at.
///
/// # Errors
/// `not_found`; `resource_locked` while a worker has it in hand; `validation_error` for a time that is none, or where the mail
/// waits for none any more, or would be over before it is due.
pub async fn reschedule(
    State(state): State<AppState>,
    caller: Caller,
    id: Id<MessageId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ChangedAnswer>, ApiError> {
    let owner = caller.owner(Scope::Send)?;
    let id = id.known()?;
    let (mut fields, mut problems) = document(&state, &headers, body).await?;
    let pointer = fields.pointer("scheduled_at");
    let when = fields.require("scheduled_at", &mut problems);
    let when = when.and_then(|when| when.parse::<When>(&mut problems));
    let Some(when) = when.filter(|_| problems.is_empty()) else {
        return Err(problems.into());
    };
    let Parts {
        desk,
        messages,
        decisions,
        ..
    } = &state.parts;
    let due = desk.due(when).map_err(|not_due| {
        problems.invalid(pointer, not_due.to_string());
        ApiError::from(problems)
    })?;
    let stored = messages.message(owner, id).await?;
    let stored = stored.ok_or_else(ApiError::not_found)?;
    let to = Move {
        due_at: due.at,
        wait: due.wait,
        usual_expiry: desk
            .usual_expiry(&stored.message.stream)
            .unwrap_or_default(),
    };
    let decided = decisions.reschedule(owner, id, to).await?;
    answer(decided, id, "this mail waits for no time any more")
}

/// The members of a small document.
async fn document(
    state: &AppState,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Fields, Problems), ApiError> {
    require_json(headers)?;
    let body = state.bodies.receive_small(headers, body).await?;
    let (document, mut problems) = json::read(body.bytes())?;
    let fields = Fields::of_document(document, &mut problems);
    Ok((fields, problems))
}

fn answer(decided: Decided, id: MessageId, nothing: &str) -> Result<Json<ChangedAnswer>, ApiError> {
    let refused = |text: &str| Err(ApiError::new(ErrorKind::ValidationError, text));
    match decided {
        Decided::Done => Ok(Json(ChangedAnswer::of(id))),
        Decided::InHand => Err(ApiError::locked("a worker is sending this mail")),
        Decided::NothingToDecide => refused(nothing),
        Decided::Expired => refused("this mail would be over before it is due"),
        Decided::WithoutBody => refused("the content of this mail was removed"),
        Decided::Absent => Err(ApiError::not_found()),
    }
}

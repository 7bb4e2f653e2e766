//! `/api-keys`: keys of the caller's owner, made, listed, replaced and removed. Scope `admin`.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use posthaste_domain::{
    clock::later,
    id::KeyId,
    key::{KeyHash, KeySecret},
    owner::Scope,
    stores::{NewApiKey, NextApiKey},
};

use crate::{
    auth::Caller,
    body::{is_json, require_json},
    dto::{
        api_key::{KeyAnswer, KeyRemoved, KeyRenamed, NewKey, NewKeyAnswer, key_name, overlap},
        fields::Fields,
        json,
        list::ListAnswer,
        problems::Problems,
    },
    error::{ApiError, ErrorKind},
    routes::{
        page::{ListQuery, Place},
        path::Id,
    },
    state::AppState,
};

/// How long a key works beside the one that takes its place, where nothing is said.
pub const OVERLAP: Duration = Duration::from_secs(86_400);

/// Makes a key, whose text is shown this once.
///
/// # Errors
/// All that is wrong with the request at once; a key permits no more than the one that makes it.
pub async fn create(
    State(state): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<NewKeyAnswer>), ApiError> {
    caller.owner(Scope::Admin)?;
    require_json(&headers)?;
    let body = state.bodies.receive_small(&headers, body).await?;
    let (document, problems) = json::read(body.bytes())?;
    let now = state.parts.clock.now();
    let new = NewKey::read(document, problems, caller.key(), &state.parts.streams, now)?;
    let secret = KeySecret::generate().map_err(ApiError::internal)?;
    let id = KeyId::new(now);
    let key = NewApiKey {
        id,
        key: new.key,
        hash: KeyHash::of(secret.reveal()),
        beginning: secret.beginning().to_owned(),
        created_at: now,
        expires_at: new.expires_at,
    };
    state.parts.stored_keys.add(key).await?;
    Ok((StatusCode::CREATED, Json(NewKeyAnswer::new(id, &secret))))
}

/// Lists the keys of the owner, the newest first; never their texts.
///
/// # Errors
/// Why the store did not answer.
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    query: ListQuery,
) -> Result<Json<ListAnswer<KeyAnswer>>, ApiError> {
    let owner = caller.owner(Scope::Admin)?.clone();
    let place = Place::read(query)?;
    let keys = state.parts.stored_keys.keys(Some(owner)).await?;
    let (keys, has_more) = place.of(keys, |stored| stored.id);
    let data = keys.into_iter().map(KeyAnswer::from).collect();
    Ok(Json(ListAnswer::page(data, has_more)))
}

/// Gives a key another name. Clients repeat other members, which are not looked at.
///
/// # Errors
/// `not_found`; what is wrong with the name.
pub async fn rename(
    State(state): State<AppState>,
    caller: Caller,
    id: Id<KeyId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<KeyRenamed>, ApiError> {
    let owner = caller.owner(Scope::Admin)?;
    let id = id.known()?;
    require_json(&headers)?;
    let body = state.bodies.receive_small(&headers, body).await?;
    let (document, mut problems) = json::read(body.bytes())?;
    let mut fields = Fields::of_document(document, &mut problems);
    let name = key_name(&mut fields, &mut problems);
    let Some(name) = name.filter(|_| problems.is_empty()) else {
        return Err(problems.into());
    };
    if state.parts.stored_keys.rename(owner, id, name).await? {
        Ok(Json(KeyRenamed::of(id)))
    } else {
        Err(ApiError::not_found())
    }
}

/// Removes a key: at once here, within five seconds on other nodes.
///
/// # Errors
/// `not_found`, or why the store did not answer.
pub async fn remove(
    State(state): State<AppState>,
    caller: Caller,
    id: Id<KeyId>,
) -> Result<Json<KeyRemoved>, ApiError> {
    let owner = caller.owner(Scope::Admin)?;
    let id = id.known()?;
    if !state.parts.stored_keys.remove(owner, id).await? {
        return Err(ApiError::not_found());
    }
    state.parts.keys.forget();
    Ok(Json(KeyRemoved::of(id)))
}

/// Makes a key that permits the same in the place of one, which works beside it for a while: a day, or as long as
/// `overlap_seconds` says.
///
/// # Errors
/// `not_found`, also for a key that has ended; what is wrong with the request.
pub async fn rotate(
    State(state): State<AppState>,
    caller: Caller,
    id: Id<KeyId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<NewKeyAnswer>, ApiError> {
    let owner = caller.owner(Scope::Admin)?;
    let id = id.known()?;
    may_replace(&state, &caller, id).await?;
    let overlap = if is_json(&headers) {
        let body = state.bodies.receive_small(&headers, body).await?;
        asked_overlap(body.bytes())?
    } else {
        OVERLAP
    };
    let secret = KeySecret::generate().map_err(ApiError::internal)?;
    let at = state.parts.clock.now();
    let next = NextApiKey {
        id: KeyId::new(at),
        hash: KeyHash::of(secret.reveal()),
        beginning: secret.beginning().to_owned(),
        at,
        overlap,
    };
    let new = next.id;
    let ends = state.parts.stored_keys.replace(owner, id, next).await?;
    let ends = ends.ok_or_else(ApiError::not_found)?;
    debug_assert!(ends <= later(at, overlap), "never longer than was asked");
    state.parts.keys.forget();
    Ok(Json(NewKeyAnswer::new(new, &secret).replacing(ends)))
}

/// Whoever gets the text of a key may do what it permits: it must be no more than the caller's own.
async fn may_replace(state: &AppState, caller: &Caller, id: KeyId) -> Result<(), ApiError> {
    let owner = caller.key().owner.clone();
    let keys = state.parts.stored_keys.keys(Some(owner)).await?;
    let mut keys = keys.into_iter();
    let old = keys.find(|stored| stored.id == id);
    let old = old.ok_or_else(ApiError::not_found)?;
    if caller.key().covers(&old.key) {
        return Ok(());
    }
    let detail = "that key permits more than this one";
    Err(ApiError::new(ErrorKind::RestrictedApiKey, detail))
}

/// Clients send no body, or an empty one.
fn asked_overlap(body: &[u8]) -> Result<Duration, ApiError> {
    if body.is_empty() {
        return Ok(OVERLAP);
    }
    let (document, mut problems) = json::read(body)?;
    let mut fields = Fields::of_document(document, &mut problems);
    let asked = overlap(&mut fields, &mut problems);
    fields.finish(&mut problems);
    if problems == Problems::default() {
        Ok(asked.unwrap_or(OVERLAP))
    } else {
        Err(problems.into())
    }
}

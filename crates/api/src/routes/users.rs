//! `POST /api/users/register` and `GET /api/users/{id}`.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use posthaste_domain::{account::RegisterError, id::UserId, owner::Scope, password::HashError};

use crate::{
    auth::Caller,
    body::require_json,
    dto::{
        account::{RegisteredAnswer, UserAnswer, read_registration},
        json,
    },
    error::ApiError,
    routes::path::Id,
    state::AppState,
};

/// Registers an account. Whether the address was known changes neither the answer nor the work.
///
/// # Errors
/// All that is wrong with the request at once; or why it could not be carried out.
pub async fn register(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    require_json(&headers)?;
    let body = state.bodies.receive_small(&headers, body).await?;
    let (document, problems) = json::read(body.bytes())?;
    let account = read_registration(document, problems, state.parts.password_minimum)?;
    let registered = state
        .parts
        .accounts
        .register(account)
        .await
        .map_err(refused)?;
    let location = [(LOCATION, format!("/api/users/{}", registered.id))];
    let answer = Json(RegisteredAnswer::new(&registered));
    Ok((StatusCode::CREATED, location, answer).into_response())
}

/// Shows an account.
///
/// # Errors
/// `not_found`, or why the store did not answer.
pub async fn show(
    State(state): State<AppState>,
    caller: Caller,
    id: Id<UserId>,
) -> Result<Json<UserAnswer>, ApiError> {
    caller.owner(Scope::Admin)?;
    let user = state.parts.accounts.user(id.known()?).await?;
    let user = user.ok_or_else(ApiError::not_found)?;
    Ok(Json(UserAnswer::new(&user)))
}

fn refused(error: RegisterError) -> ApiError {
    match error {
        RegisterError::Store(error) => error.into(),
        RegisterError::Hash(HashError::Overloaded) => {
            ApiError::unavailable("too many registrations at once; nothing was stored", 1)
                .caused_by(error)
        }
        RegisterError::Hash(HashError::Failed)
        | RegisterError::Randomness(_)
        | RegisterError::Mail(_) => ApiError::internal(error),
    }
}

//! `POST /api/users/register` and `GET /api/users/{id}`.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use posthaste_domain::{id::UserId, owner::Scope};

use crate::{
    auth::Viewer,
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
    let accounts = &state.parts.accounts;
    let account = read_registration(document, problems, accounts.password_rules())?;
    let registered = accounts.register(account).await?;
    let location = [(LOCATION, format!("/api/users/{}", registered.id))];
    let answer = Json(RegisteredAnswer::new(&registered));
    Ok((StatusCode::CREATED, location, answer).into_response())
}

/// Shows an account to its owner, or to an operator. Another's account is as absent as one that never was.
///
/// # Errors
/// `not_found`, or why the store did not answer.
pub async fn show(
    State(state): State<AppState>,
    viewer: Viewer,
    id: Id<UserId>,
) -> Result<Json<UserAnswer>, ApiError> {
    let user = match viewer {
        Viewer::Operator(caller) => {
            caller.owner(Scope::Admin)?;
            state.parts.accounts.user(id.known()?).await?
        }
        Viewer::Owner(user) => {
            let own = user.id == id.known()?;
            Some(user).filter(|_| own)
        }
    };
    let user = user.ok_or_else(ApiError::not_found)?;
    Ok(Json(UserAnswer::new(&user)))
}

//! `POST /api/auth/login`, `/refresh` and `/logout`.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};

use crate::{
    body::require_json,
    client::Client,
    dto::{
        json,
        session::{TokensAnswer, read_log_in, read_refresh},
    },
    error::ApiError,
    state::AppState,
};

/// Logs in.
///
/// # Errors
/// `invalid_credentials`, the same for an unknown address as for a wrong password; `email_not_confirmed` after a right
/// one; `rate_limit_exceeded`.
pub async fn log_in(
    State(state): State<AppState>,
    Client(client): Client,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<TokensAnswer>, ApiError> {
    require_json(&headers)?;
    let body = state.bodies.receive_small(&headers, body).await?;
    let (document, problems) = json::read(body.bytes())?;
    let log_in = read_log_in(document, problems, client)?;
    let tokens = state.parts.accounts.log_in(log_in).await?;
    Ok(Json(TokensAnswer::new(&tokens)))
}

/// Spends a refresh token for a new pair.
///
/// # Errors
/// `invalid_refresh_token`.
pub async fn refresh(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<TokensAnswer>, ApiError> {
    require_json(&headers)?;
    let body = state.bodies.receive_small(&headers, body).await?;
    let (document, problems) = json::read(body.bytes())?;
    let token = read_refresh(document, problems)?.ok_or_else(ApiError::invalid_refresh_token)?;
    let tokens = state.parts.accounts.refresh(&token).await?;
    Ok(Json(TokensAnswer::new(&tokens)))
}

/// Ends the session of a refresh token. What is no token has no session to end: the answer is the same.
///
/// # Errors
/// What is wrong with the document, or why the store did not answer.
pub async fn log_out(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    require_json(&headers)?;
    let body = state.bodies.receive_small(&headers, body).await?;
    let (document, problems) = json::read(body.bytes())?;
    if let Some(token) = read_refresh(document, problems)? {
        state.parts.accounts.log_out(&token).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

//! `/api/users/password/…`: asking for a reset link, the page that it opens, setting the password, and changing it.

use axum::{
    Json,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use posthaste_domain::{
    id::UserId,
    password::{InvalidPassword, Password},
    token::TokenSecret,
};
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::{
    auth::LoggedIn,
    body::{is_form, require_json},
    dto::{
        account::{ConfirmedAnswer, read_change, read_reset},
        json,
        problems::Problems,
        session::read_address,
    },
    error::ApiError,
    even::evenly,
    routes::{confirm::Link, form},
    state::AppState,
};

/// The path of the page.
pub const PATH: &str = "/api/users/password/reset";

/// What the page's form sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    token: String,
    password: String,
}

/// Mails a link to choose a new password, if the address has an account. The answer is the same if not.
///
/// # Errors
/// What is wrong with the request; `rate_limit_exceeded`.
pub async fn forgot(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    require_json(&headers)?;
    let body = state.bodies.receive_small(&headers, body).await?;
    let (document, problems) = json::read(body.bytes())?;
    let email = read_address(document, problems)?;
    evenly(state.parts.accounts.forgot_password(email)).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Shows the page with the form. Whether the link works is not looked at: only the form asks.
///
/// # Errors
/// `invalid_token` for what has not the form of one.
pub async fn page(
    State(state): State<AppState>,
    link: Result<Query<Link>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(link) = link.map_err(|_| ApiError::invalid_token())?;
    let token = link.token().ok_or_else(ApiError::invalid_token)?;
    let minimum = state.parts.accounts.password_rules().minimum;
    Ok(state.pages.reset(&token, minimum, None))
}

/// Sets the password, from the page's form or as JSON. A password that is refused does not spend the link.
///
/// # Errors
/// `invalid_token` if the link is unknown, used or expired; what is wrong with the password.
pub async fn reset(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    if !is_form(&headers) {
        require_json(&headers)?;
    }
    let body = state.bodies.receive_small(&headers, body).await?;
    if is_form(&headers) {
        let form: Option<NewPassword> = form::read(&headers, &body).await;
        let form = form.ok_or_else(ApiError::invalid_token)?;
        let token = form.token.parse().map_err(|_| ApiError::invalid_token())?;
        return match set(&state, &token, &form.password).await? {
            Ok(_) => Ok(state.pages.password_set()),
            Err(problem) => {
                let minimum = state.parts.accounts.password_rules().minimum;
                Ok(state.pages.reset(&token, minimum, Some(problem)))
            }
        };
    }
    let (document, problems) = json::read(body.bytes())?;
    let (token, password, pointer) = read_reset(document, problems)?;
    let token = token.ok_or_else(ApiError::invalid_token)?;
    match set(&state, &token, password.expose_secret()).await? {
        Ok(id) => Ok(Json(ConfirmedAnswer::new(id)).into_response()),
        Err(problem) => {
            let mut problems = Problems::default();
            problems.invalid(pointer, problem.to_string());
            Err(problems.into())
        }
    }
}

async fn set(
    state: &AppState,
    token: &TokenSecret,
    password: &str,
) -> Result<Result<UserId, InvalidPassword>, ApiError> {
    let accounts = &state.parts.accounts;
    let holder = accounts.reset_holder(token).await?;
    let holder = holder.ok_or_else(ApiError::invalid_token)?;
    match Password::choose(password, accounts.password_rules(), Some(&holder.email)) {
        Ok(password) => Ok(Ok(accounts.reset_password(token, password).await?)),
        Err(problem) => Ok(Err(problem)),
    }
}

/// Changes the password of whoever is logged in. All sessions end, this one too.
///
/// # Errors
/// `invalid_access_token`; `invalid_credentials` if the present password is another one; what is wrong with the new one.
pub async fn change(
    State(state): State<AppState>,
    LoggedIn(user): LoggedIn,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    require_json(&headers)?;
    let body = state.bodies.receive_small(&headers, body).await?;
    let (document, problems) = json::read(body.bytes())?;
    let rules = state.parts.accounts.password_rules();
    let (present, new) = read_change(document, problems, rules, &user.email)?;
    let accounts = &state.parts.accounts;
    accounts.change_password(&user, present, new).await?;
    Ok(StatusCode::NO_CONTENT)
}

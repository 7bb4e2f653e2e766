//! `/api/users/confirm`: the link of the confirmation mail.
//!
//! GET shows a page with a button and changes nothing, because mail scanners open links; POST spends the token, from
//! that page's form or as JSON. `/resend` mails another link.

use axum::{
    Json,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use posthaste_domain::token::TokenSecret;
use serde::Deserialize;

use crate::{
    body::{is_form, require_json},
    dto::{
        account::{ConfirmedAnswer, read_confirmation},
        json,
        session::read_address,
    },
    error::ApiError,
    even::evenly,
    routes::form,
    state::AppState,
};

/// The path of this route.
pub const PATH: &str = "/api/users/confirm";

/// The token of a link or of the page's form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    token: String,
}

impl Link {
    /// The token, if it has the form of one.
    #[must_use]
    pub fn token(&self) -> Option<TokenSecret> {
        self.token.parse().ok()
    }
}

/// Tokens are secrets.
impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link(***)")
    }
}

/// Shows the page with the button.
///
/// # Errors
/// `invalid_token` for what has not the form of one. Whether it works is not looked at: only the button asks.
pub async fn page(
    State(state): State<AppState>,
    link: Result<Query<Link>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(link) = link.map_err(|_| ApiError::invalid_token())?;
    let token = link.token().ok_or_else(ApiError::invalid_token)?;
    Ok(state.pages.confirm(&token))
}

/// Spends the token.
///
/// # Errors
/// `invalid_token` if it is unknown, spent or expired: one answer.
pub async fn confirm(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    if !is_form(&headers) {
        require_json(&headers)?;
    }
    let body = state.bodies.receive_small(&headers, body).await?;
    let token = if is_form(&headers) {
        let link: Option<Link> = form::read(&headers, &body).await;
        link.and_then(|link| link.token())
    } else {
        let (document, problems) = json::read(body.bytes())?;
        read_confirmation(document, problems)?
    };
    let token = token.ok_or_else(ApiError::invalid_token)?;
    let id = state.parts.accounts.confirm(&token).await?;
    let id = id.ok_or_else(ApiError::invalid_token)?;
    Ok(if is_form(&headers) {
        state.pages.confirmed()
    } else {
        Json(ConfirmedAnswer::new(id)).into_response()
    })
}

/// Mails another confirmation link, if the address has an account that waits for it. The answer is the same if not.
///
/// # Errors
/// What is wrong with the request; `rate_limit_exceeded`.
pub async fn resend(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    require_json(&headers)?;
    let body = state.bodies.receive_small(&headers, body).await?;
    let (document, problems) = json::read(body.bytes())?;
    let email = read_address(document, problems)?;
    evenly(state.parts.accounts.resend_confirmation(email)).await?;
    Ok(StatusCode::ACCEPTED)
}

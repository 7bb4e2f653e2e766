//! `/api/users/confirm`: the link of the confirmation mail. GET shows a page with a button and changes nothing, because
//! mail scanners open links; POST spends the token, from that page's form or as JSON.

use axum::{
    Json,
    body::Body,
    extract::{Form, FromRequest, Query, State, rejection::QueryRejection},
    http::{HeaderMap, Request, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use posthaste_domain::token::TokenSecret;
use serde::Deserialize;

use crate::{
    body::{Received, is_form, require_json},
    dto::{
        account::{ConfirmedAnswer, read_confirmation},
        json,
    },
    error::ApiError,
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
    let token: TokenSecret = link.token.parse().map_err(|_| ApiError::invalid_token())?;
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
        form_token(&headers, &body).await
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

async fn form_token(headers: &HeaderMap, body: &Received) -> Option<TokenSecret> {
    let mut request = Request::post(PATH)
        .body(Body::from(body.bytes().to_vec()))
        .ok()?;
    request
        .headers_mut()
        .insert(CONTENT_TYPE, headers.get(CONTENT_TYPE)?.clone());
    let Form(link) = Form::<Link>::from_request(request, &()).await.ok()?;
    link.token.parse().ok()
}

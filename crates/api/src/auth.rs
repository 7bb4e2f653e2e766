//! Who asks: the holder of what stands in `Authorization: Bearer …` (RFC 6750 section 2.1), an API key or the access
//! token of a log-in.
//!
//! The owner of a key comes out only by naming the scope that the route needs, so that no route can forget to ask for
//! one.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{header::AUTHORIZATION, request::Parts},
};
use posthaste_domain::{
    address::Mailbox,
    key::{ApiKey, KeyHash},
    message::Draft,
    owner::{Owner, Scope},
    stream::StreamName,
    user::User,
};

use crate::{
    client::Client,
    error::{ApiError, ErrorKind},
    rates::StandingCell,
    state::AppState,
};

/// The holder of a valid key.
#[derive(Debug)]
pub struct Caller(Arc<ApiKey>);

impl Caller {
    /// Whose messages the caller submits and reads, if the key permits `needed`.
    ///
    /// # Errors
    /// `restricted_api_key` if it does not.
    pub fn owner(&self, needed: Scope) -> Result<&Owner, ApiError> {
        if self.0.permits(needed) {
            Ok(&self.0.owner)
        } else {
            Err(ApiError::restricted_key(needed))
        }
    }
}

impl Caller {
    /// The key itself, for what it permits beside scopes.
    #[must_use]
    pub fn key(&self) -> &ApiKey {
        &self.0
    }

    /// Whether the key may submit this.
    ///
    /// # Errors
    /// `restricted_api_key` for a stream, `invalid_from_address` for a sender that it may not use. A template's own sender is
    /// nobody's to judge.
    pub fn may_submit(&self, draft: &Draft) -> Result<(), ApiError> {
        self.may_send(&draft.stream, draft.from.as_ref())
    }

    /// The same of a mail that was made by another key.
    ///
    /// # Errors
    /// As [`Self::may_submit`].
    pub fn may_send(&self, stream: &StreamName, from: Option<&Mailbox>) -> Result<(), ApiError> {
        if !self.0.may_use(stream) {
            let detail = format!("this key may not use the stream `{stream}`");
            return Err(ApiError::new(ErrorKind::RestrictedApiKey, detail));
        }
        if from.is_none_or(|from| self.0.may_send_from(from.address())) {
            return Ok(());
        }
        let detail = "this key may not send from this domain";
        Err(ApiError::new(ErrorKind::InvalidFromAddress, detail))
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let presented = bearer(parts).ok_or_else(ApiError::missing_key)?;
        // Unknown, revoked or expired: one answer, after the same work.
        let Some(key) = state.parts.keys.find(presented).await? else {
            return Err(guessed(parts, state).await);
        };
        if let Some(rates) = &state.rates {
            let (standing, wait) = rates.count(KeyHash::of(presented));
            if let Some(cell) = parts.extensions.get::<StandingCell>() {
                cell.set(standing).ok();
            }
            if let Some(wait) = wait {
                return Err(ApiError::too_many(
                    "this key has had its requests for now",
                    wait,
                ));
            }
        }
        Ok(Self(key))
    }
}

/// A key that is not valid; and that no more are looked at for now, where one client presents many.
async fn guessed(parts: &mut Parts, state: &AppState) -> ApiError {
    let Ok(Client(client)) = Client::from_request_parts(parts, state).await;
    match state.guesses.try_once(&client) {
        Ok(()) => ApiError::new(ErrorKind::InvalidApiKey, "this API key is not valid here"),
        Err(throttled) => {
            let detail = "too many API keys that are not valid";
            ApiError::too_many(detail, throttled.retry_after)
        }
    }
}

/// The owner of an account, by the access token of a log-in.
#[derive(Debug)]
pub struct LoggedIn(pub User);

impl FromRequestParts<AppState> for LoggedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let token = bearer(parts).and_then(|presented| presented.parse().ok());
        let token = token.ok_or_else(ApiError::invalid_access_token)?;
        let user = state.parts.accounts.authenticate(&token).await?;
        user.map(Self).ok_or_else(ApiError::invalid_access_token)
    }
}

/// Whoever may look at an account: an operator by a key, or its owner.
#[derive(Debug)]
pub enum Viewer {
    /// By a key; what it permits is still to be asked.
    Operator(Caller),
    /// By an access token.
    Owner(User),
}

impl FromRequestParts<AppState> for Viewer {
    type Rejection = ApiError;

    /// A key may be any text, so keys are looked up first.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let presented = bearer(parts).ok_or_else(ApiError::missing_key)?;
        let is_key = state.parts.keys.find(presented).await?.is_some();
        let looks_like_a_token = presented
            .parse::<posthaste_domain::token::TokenSecret>()
            .is_ok();
        if is_key || !looks_like_a_token {
            return Caller::from_request_parts(parts, state)
                .await
                .map(Self::Operator);
        }
        let LoggedIn(user) = LoggedIn::from_request_parts(parts, state).await?;
        Ok(Self::Owner(user))
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = header.split_once(' ')?;
    let key = key.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

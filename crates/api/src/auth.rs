//! Who asks: the holder of the key in `Authorization: Bearer <key>` (RFC 6750 section 2.1).
//!
//! The owner comes out only by naming the scope that the route needs, so that no route can forget to ask for one.

use axum::{
    extract::FromRequestParts,
    http::{header::AUTHORIZATION, request::Parts},
};
use posthaste_domain::{
    key::ApiKey,
    owner::{Owner, Scope},
};

use crate::{
    error::{ApiError, ErrorKind},
    state::AppState,
};

/// The holder of a valid key.
#[derive(Debug)]
pub struct Caller(ApiKey);

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

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let presented = bearer(parts).ok_or_else(ApiError::missing_key)?;
        // Unknown, revoked or expired: one answer, after the same work.
        let key = state.parts.keys.find(presented).ok_or_else(|| {
            ApiError::new(ErrorKind::InvalidApiKey, "this API key is not valid here")
        })?;
        Ok(Self(key.clone()))
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = header.split_once(' ')?;
    let key = key.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

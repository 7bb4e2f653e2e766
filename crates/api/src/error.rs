//! The one error of the API. A route returns it, and the middleware [`problem`](crate::middleware::problem) writes it
//! down: the routes know neither the path nor what the caller accepts.
//!
//! [`ErrorKind`] holds the stable names that callers may match on. What went wrong inside is kept as the source: it is
//! logged once, by that middleware, and never shown.

mod account;
mod kind;

use std::{error::Error, sync::Arc, time::Duration};

use axum::{
    http::{
        HeaderValue,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
pub use kind::ErrorKind;
use posthaste_domain::{owner::Scope, stores::StoreError};
use posthaste_queue::QueueError;
use serde_json::{Map, Value};

use crate::{
    dto::problems::{FieldProblem, Problems},
    middleware::rate_headers::whole_seconds,
};

/// An answer that is an error.
#[derive(Debug)]
pub struct ApiError {
    kind: ErrorKind,
    detail: String,
    fields: Vec<FieldProblem>,
    challenge: Option<&'static str>,
    retry_after: Option<u32>,
    members: Map<String, Value>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// An error with words for this occurrence. They are shown to the caller: no secret, no fault of ours.
    #[must_use]
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            fields: Vec::new(),
            challenge: None,
            retry_after: None,
            members: Map::new(),
            source: None,
        }
    }

    /// No such route, or no such thing of this owner: the two look alike.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(ErrorKind::NotFound, "there is nothing here")
    }

    /// What stands behind the question mark says nothing sensible.
    #[must_use]
    pub fn invalid_parameters(problems: Problems) -> Self {
        let mut error = Self::new(ErrorKind::InvalidParameter, problems.summary());
        error.fields = problems.into_shown();
        error
    }

    /// No key was presented.
    #[must_use]
    pub fn missing_key() -> Self {
        let detail = "send the header `Authorization: Bearer <API key>`";
        Self::new(ErrorKind::MissingApiKey, detail).challenged("Bearer realm=\"posthaste\"")
    }

    /// The key lacks a scope.
    #[must_use]
    pub fn restricted_key(needed: Scope) -> Self {
        let (scope, challenge) = match needed {
            Scope::Send => (
                "send",
                "Bearer error=\"insufficient_scope\", scope=\"send\"",
            ),
            Scope::Read => (
                "read",
                "Bearer error=\"insufficient_scope\", scope=\"read\"",
            ),
            Scope::Admin => (
                "admin",
                "Bearer error=\"insufficient_scope\", scope=\"admin\"",
            ),
        };
        let detail = format!("this needs a key with the scope `{scope}`");
        Self::new(ErrorKind::RestrictedApiKey, detail).challenged(challenge)
    }

    /// A one-time token that does not work.
    #[must_use]
    pub fn invalid_token() -> Self {
        Self::new(
            ErrorKind::InvalidToken,
            "this link is not valid: it was used before, or it has expired",
        )
    }

    /// A fault of ours; the caller learns nothing about it.
    #[must_use]
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let detail = "something went wrong on our side; the request id leads to it in the log";
        Self::new(ErrorKind::ApplicationError, detail).caused_by(source)
    }

    /// Not now; `retry_after` is in seconds.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>, retry_after: u32) -> Self {
        let mut error = Self::new(ErrorKind::ServiceUnavailable, detail);
        error.retry_after = Some(retry_after);
        error
    }

    /// In use right now; worth another try in a second.
    #[must_use]
    pub fn locked(detail: impl Into<String>) -> Self {
        let mut error = Self::new(ErrorKind::ResourceLocked, detail);
        error.retry_after = Some(1);
        error
    }

    /// As often as is allowed for now.
    #[must_use]
    pub fn too_many(detail: impl Into<String>, wait: Duration) -> Self {
        let mut error = Self::new(ErrorKind::RateLimitExceeded, detail);
        let seconds = whole_seconds(wait).max(1);
        error.retry_after = Some(u32::try_from(seconds).unwrap_or(u32::MAX));
        error
    }

    /// The first request under the idempotency key has not ended: the same again in a second.
    #[must_use]
    pub fn concurrent_requests() -> Self {
        let detail = "another request with this Idempotency-Key has not ended yet; nothing was stored for this one";
        let mut error = Self::new(ErrorKind::ConcurrentIdempotentRequests, detail);
        error.retry_after = Some(1);
        error
    }

    /// The same with what caused it, for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same with one more member in the problem's JSON (RFC 9457 section 3.2).
    #[must_use]
    pub fn with_member(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The words for this occurrence.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The fields that are wrong.
    #[must_use]
    pub fn fields(&self) -> &[FieldProblem] {
        &self.fields
    }

    /// What clients show: the first field by name, or the detail.
    #[must_use]
    pub fn message(&self) -> String {
        match &self.fields[..] {
            [] => self.detail.clone(),
            [only] => only.to_string(),
            [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
        }
    }

    /// Further members of the problem's JSON.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// What caused it, each cause once, for one line of the log.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        let first = self.source.as_deref()?;
        let mut line = first.to_string();
        let mut next = first.source();
        while let Some(cause) = next {
            line = format!("{line}: {cause}");
            next = cause.source();
        }
        Some(line)
    }

    fn challenged(mut self, challenge: &'static str) -> Self {
        self.challenge = Some(challenge);
        self
    }
}

impl From<Problems> for ApiError {
    fn from(problems: Problems) -> Self {
        let problems = problems.without_consequences();
        let kind = if problems.only_missing() {
            ErrorKind::MissingRequiredField
        } else if problems.only_in("attachments") {
            ErrorKind::InvalidAttachment
        } else if problems.only_in("scheduled_at") {
            ErrorKind::InvalidParameter
        } else {
            ErrorKind::ValidationError
        };
        let mut error = Self::new(kind, problems.summary());
        error.fields = problems.into_shown();
        error
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let answer = match error {
            StoreError::Overloaded => {
                Self::unavailable("too much is waiting; nothing was stored", 1)
            }
            StoreError::Unavailable(_) => {
                Self::unavailable("the store does not answer; nothing was stored", 5)
            }
            StoreError::OutcomeUnknown(_) => Self::unavailable(
                "it is not known whether this was stored: repeating the request with the same Idempotency-Key settles it",
                5,
            ),
            StoreError::Unreadable(_) => return Self::internal(error),
        };
        answer.caused_by(error)
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        Self::unavailable("the queue does not answer", 5).caused_by(error)
    }
}

/// Status and headers; the body is written by the middleware.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        let headers = response.headers_mut();
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

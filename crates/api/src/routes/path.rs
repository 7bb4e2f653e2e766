//! The id in a path. What is not an id at all answers as an id that leads nowhere, and only after the key was looked at.

use std::{convert::Infallible, str::FromStr};

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

use crate::error::ApiError;

/// The last id of the path, if it is one.
#[derive(Debug)]
pub struct Id<T>(Option<T>);

impl<T> Id<T> {
    /// The id.
    ///
    /// # Errors
    /// `not_found` if the path held something else.
    pub fn known(self) -> Result<T, ApiError> {
        self.0.ok_or_else(ApiError::not_found)
    }
}

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(text.ok().and_then(|Path(text)| text.parse().ok())))
    }
}

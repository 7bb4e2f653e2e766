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

/// The two ids of a path, if they are such.
#[derive(Debug)]
pub struct Ids<A, B>(Option<(A, B)>);

impl<A, B> Ids<A, B> {
    /// The ids.
    ///
    /// # Errors
    /// `not_found` if the path held something else.
    pub fn known(self) -> Result<(A, B), ApiError> {
        self.0.ok_or_else(ApiError::not_found)
    }
}

impl<A: FromStr, B: FromStr, S: Send + Sync> FromRequestParts<S> for Ids<A, B> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let texts = Path::<(String, String)>::from_request_parts(parts, state).await;
        Ok(Self(texts.ok().and_then(|Path((first, second))| {
            Some((first.parse().ok()?, second.parse().ok()?))
        })))
    }
}

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(text.ok().and_then(|Path(text)| text.parse().ok())))
    }
}

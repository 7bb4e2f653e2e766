//! The id in a path. What is not an id at all answers as an id that leads nowhere, and only after the key was looked at.

use std::{convert::Infallible, str::FromStr};

use axum::{
    extract::{FromRequestParts, Path, Query, rejection::QueryRejection},
    http::request::Parts,
};

use crate::{
    dto::{
        problems::{Pointer, Problems},
        wanted::MAX_LIMIT,
    },
    error::{ApiError, ErrorKind},
};

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

/// What stands behind the question mark of a short list.
pub type ListQuery = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// A page of a list that is read whole.
#[derive(Debug)]
pub struct Place {
    at: Option<(String, bool)>,
    limit: usize,
}

impl Place {
    /// Reads `limit`, and `after` or `before` an id; nothing else is known.
    ///
    /// # Errors
    /// `invalid_parameter`.
    pub fn read(query: ListQuery) -> Result<Self, ApiError> {
        let Query(query) = query.map_err(|rejection| {
            let detail = format!("the query cannot be read: {}", rejection.body_text());
            ApiError::new(ErrorKind::InvalidParameter, detail)
        })?;
        let mut problems = Problems::default();
        let mut place = Self {
            at: None,
            limit: MAX_LIMIT,
        };
        for (name, value) in query {
            let pointer = Pointer::root().member(&name);
            match (name.as_str(), value.parse().ok()) {
                ("limit", Some(limit)) if (1..=MAX_LIMIT).contains(&limit) => place.limit = limit,
                ("limit", _) => problems.invalid(pointer, "is from 1 to 100"),
                ("after" | "before", _) if place.at.is_some() => {
                    problems.invalid(pointer, "give one of `after` and `before`");
                }
                ("after" | "before", _) => place.at = Some((value, name == "after")),
                _ => problems.invalid(pointer, "unknown parameter"),
            }
        }
        if problems.is_empty() {
            Ok(place)
        } else {
            Err(ApiError::invalid_parameters(problems))
        }
    }

    /// The page of these items, and whether there are more in its direction.
    pub fn of<T, I: ToString>(self, mut items: Vec<T>, id: impl Fn(&T) -> I) -> (Vec<T>, bool) {
        let place = |at: &str| items.iter().position(|item| id(item).to_string() == at);
        match self.at {
            Some((at, true)) => {
                let begin = place(&at).map_or(items.len(), |place| place + 1);
                items.drain(..begin);
            }
            Some((at, false)) => {
                items.truncate(place(&at).unwrap_or_default());
                let surplus = items.len().saturating_sub(self.limit);
                items.drain(..surplus);
                return (items, surplus > 0);
            }
            None => {}
        }
        let has_more = items.len() > self.limit;
        items.truncate(self.limit);
        (items, has_more)
    }
}

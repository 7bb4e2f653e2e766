//! A panic while a request is handled ends that request only.

use std::any::Any;

use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

/// A handler ended by panicking. What it said stands in the log by way of the panic hook.
#[derive(Debug, thiserror::Error)]
#[error("the handler panicked")]
struct Panicked;

/// The answer to a request whose handler panicked: an error of ours, without a word about it.
pub fn answer(_payload: Box<dyn Any + Send + 'static>) -> Response {
    ApiError::internal(Panicked).into_response()
}

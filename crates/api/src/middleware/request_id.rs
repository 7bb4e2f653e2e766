//! The id of a request: the caller's own where it is a sane one, else a fresh one. It is on every answer, in every error
//! and on every log line.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use tracing::{Instrument, info_span};
use uuid::Uuid;

/// The header, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken from a caller.
pub const MAX_REQUEST_ID: usize = 128;

/// The id, as an extension of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The id as text: letters, digits and `-._:+/=`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("a sane id is visible ASCII")
    }

    fn of(request: &Request) -> Self {
        let given = request
            .headers()
            .get(REQUEST_ID)
            .and_then(|id| id.to_str().ok());
        let id = given.filter(|id| is_sane(id));
        Self(id.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned))
    }
}

/// Gives the request its id, and the answer the same.
pub async fn assign(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(&request);
    let span = info_span!("request", request.id = id.as_str());
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).instrument(span).await;
    response.headers_mut().insert(REQUEST_ID, id.header());
    response
}

/// Nothing that could break a log line, a header or a page.
fn is_sane(id: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"-._:+/=".contains(&b);
    (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(is_part)
}

//! Receiving bodies: each within the limit of its route, all together within one budget of bytes (P7).
//!
//! A body that says its length reserves it before the first byte is read; one that does not reserves piece by piece.
//! Where the budget has no room the request is refused at once: waiting bodies would only fill memory later.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderMap,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
};
use http_body_util::BodyExt;
use posthaste_domain::buffer::buffer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    error::{ApiError, ErrorKind},
    state::Limits,
};

/// Most bytes of a body about an account: whoever registers has no key yet.
pub const MAX_ACCOUNT_BODY: usize = 64 * 1024;

/// Receives bodies.
#[derive(Debug)]
pub struct BodyIntake {
    limit: usize,
    all: usize,
    budget: Arc<Semaphore>,
}

/// A body in memory. Its bytes count until it is dropped.
#[derive(Debug)]
pub struct Received {
    bytes: Vec<u8>,
    reserved: OwnedSemaphorePermit,
}

impl Received {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// They were read. What was made of them takes their room, for as long as this is kept.
    pub fn read(self) -> OwnedSemaphorePermit {
        let mut reserved = self.reserved;
        let surplus = reserved.num_permits().saturating_sub(self.bytes.len());
        drop(reserved.split(surplus));
        reserved
    }
}

impl BodyIntake {
    /// An intake with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let all = limits.bodies_in_flight.min(Semaphore::MAX_PERMITS);
        Self {
            limit: limits.body,
            all,
            budget: Arc::new(Semaphore::new(all)),
        }
    }

    /// Receives a mail, or anything else that may be large.
    ///
    /// # Errors
    /// `payload_too_large`, `service_unavailable` where the budget is spent, `validation_error` for a body that breaks
    /// off.
    pub async fn receive(&self, headers: &HeaderMap, body: Body) -> Result<Received, ApiError> {
        self.receive_up_to(self.limit, headers, body).await
    }

    /// Receives what is said about an account.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub async fn receive_small(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Received, ApiError> {
        self.receive_up_to(self.limit.min(MAX_ACCOUNT_BODY), headers, body)
            .await
    }

    async fn receive_up_to(
        &self,
        limit: usize,
        headers: &HeaderMap,
        mut body: Body,
    ) -> Result<Received, ApiError> {
        let declared = declared_length(headers).unwrap_or(0);
        if declared > limit as u64 {
            discard(body).await;
            return Err(too_large(limit));
        }
        let declared = usize::try_from(declared).unwrap_or(limit);
        let mut reserved = match self.reserve(self.weight(declared)) {
            Ok(reserved) => reserved,
            Err(no_room) => {
                discard(body).await;
                return Err(no_room);
            }
        };
        let mut bytes = buffer(declared);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(broken_off)?;
            let piece: Bytes = frame.into_data().unwrap_or_default();
            let length = bytes.len() + piece.len();
            if length > limit {
                drop(bytes);
                discard(body).await;
                return Err(too_large(limit));
            }
            match self.reserve(self.weight(length).saturating_sub(reserved.num_permits())) {
                Ok(more) => reserved.merge(more),
                Err(no_room) => {
                    drop(bytes);
                    discard(body).await;
                    return Err(no_room);
                }
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Received { bytes, reserved })
    }

    /// What a body takes: while it is read, what is made of it is there beside it.
    fn weight(&self, bytes: usize) -> usize {
        bytes.saturating_mul(2).min(self.all)
    }

    /// Room for an answer of so many bytes.
    ///
    /// # Errors
    /// `service_unavailable` where the budget is spent.
    pub fn reserve_answer(&self, bytes: u64) -> Result<OwnedSemaphorePermit, ApiError> {
        let detail = "too many large answers at once";
        let bytes = u32::try_from(bytes).ok();
        let reserved =
            bytes.and_then(|bytes| Arc::clone(&self.budget).try_acquire_many_owned(bytes).ok());
        reserved.ok_or_else(|| ApiError::unavailable(detail, 1))
    }

    fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let room =
            || ApiError::unavailable("too many large requests at once; nothing was stored", 1);
        let bytes = u32::try_from(bytes).map_err(|_| room())?;
        Arc::clone(&self.budget)
            .try_acquire_many_owned(bytes)
            .map_err(|_| room())
    }
}

/// Most bytes that are read only to be thrown away.
const LINGER: usize = 64 * 1024 * 1024;
/// Longest time for that.
const LONGEST_LINGER: Duration = Duration::from_secs(5);

/// Reads on past a body that is refused: a connection that is closed while its client still writes takes the answer with
/// it.
async fn discard(mut body: Body) {
    let reading = async {
        let mut left = LINGER;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            if length > left {
                return;
            }
            left -= length;
        }
    };
    // Whoever sends no faster gets the answer anyway.
    tokio::time::timeout(LONGEST_LINGER, reading).await.ok();
}

/// Whether the body's type is JSON in UTF-8.
#[must_use]
pub fn is_json(headers: &HeaderMap) -> bool {
    let Some((kind, parameters)) = media_type(headers) else {
        return false;
    };
    let is_json =
        kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json");
    let utf8 = |parameter: &str| {
        parameter
            .trim()
            .strip_prefix("charset=")
            .is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8"))
    };
    is_json && parameters.split(';').all(utf8)
}

/// Whether the body is a form as browsers send it.
#[must_use]
pub fn is_form(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|(kind, _)| kind == "application/x-www-form-urlencoded")
}

/// Asks for JSON.
///
/// # Errors
/// `unsupported_media_type` for anything else.
pub fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    if is_json(headers) {
        Ok(())
    } else {
        let detail = "send JSON in UTF-8 with `Content-Type: application/json`";
        Err(ApiError::new(ErrorKind::UnsupportedMediaType, detail))
    }
}

/// The type and its parameters, in lower case.
fn media_type(headers: &HeaderMap) -> Option<(String, String)> {
    let text = headers
        .get(CONTENT_TYPE)?
        .to_str()
        .ok()?
        .to_ascii_lowercase();
    let (kind, parameters) = text.split_once(';').unwrap_or((&text, ""));
    Some((kind.trim().to_owned(), parameters.to_owned()))
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(
        ErrorKind::PayloadTooLarge,
        format!("the body has more than {limit} bytes"),
    )
}

fn broken_off(error: axum::Error) -> ApiError {
    ApiError::new(ErrorKind::Unreadable, "the body broke off").caused_by(error)
}

//! Idempotency keys: the submitter's own name for one submit, by which a repeat finds the first one's answer.

use std::{fmt, str::FromStr};

/// Longest key.
pub const MAX_KEY: usize = 256;

/// A text that is not 1 to 256 visible ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to {MAX_KEY} visible ASCII characters")]
pub struct InvalidIdempotencyKey;

/// The key as given.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        if (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidIdempotencyKey)
        }
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyKey({} characters)", self.0.len())
    }
}

/// A request that may be repeated. Keys of two owners, or for two routes, never meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The route it was sent to.
    pub route: String,
    /// The key.
    pub key: IdempotencyKey,
    /// SHA-256 of the request as parsed: tells a repeat from another request under the same key.
    pub fingerprint: [u8; 32],
}

/// What a request was answered: a repeat is answered the same, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, JSON as it was sent.
    pub body: String,
}

/// A request under a key, and the answer that is kept with the key if it is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyed {
    /// The request.
    pub request: Idempotency,
    /// Its answer.
    pub answer: Answer,
}

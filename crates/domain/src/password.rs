//! Passwords: what is accepted (NIST SP 800-63B-4 section 3.1.1: length counts, composition does not), and the port to
//! the slow hash that is stored.

use std::fmt;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;

/// Longest password, in characters. A limit only to bound the work of hashing; nothing is cut.
pub const MAX_PASSWORD: usize = 256;
/// The shortest minimum that may be configured.
pub const LEAST_MINIMUM: usize = 8;

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// Under the configured minimum.
    #[error("a password has at least {0} characters")]
    TooShort(usize),
    /// Over 256 characters.
    #[error("a password has at most {MAX_PASSWORD} characters")]
    TooLong,
}

/// A password as given, in Unicode normal form C, so that both spellings of an accented letter are one password.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// Reads a password of at least `minimum` characters.
    ///
    /// # Errors
    /// [`InvalidPassword`] if it is too short or too long; nothing else is asked of it.
    pub fn parse(text: &str, minimum: usize) -> Result<Self, InvalidPassword> {
        let text: String = text.nfc().collect();
        match text.chars().count() {
            length if length < minimum.max(LEAST_MINIMUM) => {
                Err(InvalidPassword::TooShort(minimum.max(LEAST_MINIMUM)))
            }
            length if length > MAX_PASSWORD => Err(InvalidPassword::TooLong),
            _ => Ok(Self(SecretString::from(text))),
        }
    }

    /// The password in clear, for the hash function only.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// A salted, slow hash in PHC string form.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The hash with this PHC string.
    #[must_use]
    pub fn from_phc(text: String) -> Self {
        Self(text)
    }

    /// The PHC string, for the store.
    #[must_use]
    pub fn as_phc(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

/// Why a password could not be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// More passwords wait than the bounded queue holds; try again later.
    #[error("too many passwords wait to be hashed")]
    Overloaded,
    /// The hasher failed or has stopped.
    #[error("the password hasher failed")]
    Failed,
}

/// The slow hash. It runs apart from the request threads, so that a crowd of registrations does not stall the API.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait PasswordHasher: fmt::Debug + Send + Sync + 'static {
    /// Hashes with a fresh salt.
    ///
    /// # Errors
    /// [`HashError::Overloaded`] at once when the queue is full, [`HashError::Failed`] otherwise.
    async fn hash(&self, password: Password) -> Result<PasswordHash, HashError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_alone_decides() {
        let check = |text: &str, expected: Result<(), InvalidPassword>| {
            assert_eq!(
                Password::parse(text, 15).map(|_| ()),
                expected,
                "{} characters",
                text.chars().count()
            );
        };
        check("fourteen chars", Err(InvalidPassword::TooShort(15)));
        check("fifteen chars !", Ok(()));
        check("   spaces   count   ", Ok(()));
        check(&"x".repeat(256), Ok(()));
        check(&"x".repeat(257), Err(InvalidPassword::TooLong));
        assert_eq!(
            Password::parse("seven77", 1).map(|_| ()),
            Err(InvalidPassword::TooShort(8))
        );
    }

    #[test]
    fn both_spellings_of_an_accent_are_one_password() {
        let composed = Password::parse("caf\u{e9} caf\u{e9} caf\u{e9} !", 15).unwrap();
        let decomposed = Password::parse("cafe\u{301} cafe\u{301} cafe\u{301} !", 15).unwrap();
        assert_eq!(composed.reveal(), decomposed.reveal());
    }
}

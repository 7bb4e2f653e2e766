//! Passwords: what is accepted (NIST SP 800-63B-4 section 3.1.1: length counts, composition does not, and what others
//! chose too often is refused), and the port to the slow hash that is stored.

mod guessable;

use std::fmt;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;

use crate::address::EmailAddress;

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
    /// One of the first that anybody guesses.
    #[error(
        "this password is too easy to guess: it is a common one, a repetition, a row of neighbouring characters, or \
         made of your address or our name"
    )]
    Guessable,
}

/// What the operator asks of a new password.
#[derive(Debug, Clone)]
pub struct PasswordRules {
    /// Least characters; never under [`LEAST_MINIMUM`].
    pub minimum: usize,
    /// The product's name, which is one of the first guesses.
    pub product: String,
}

/// A password as given, in Unicode normal form C, so that both spellings of an accented letter are one password.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// A password that is being chosen by the owner of `email`.
    ///
    /// # Errors
    /// [`InvalidPassword`] if it is too short, too long or among the first guesses; nothing else is asked of it.
    pub fn choose(
        text: &str,
        rules: &PasswordRules,
        email: Option<&EmailAddress>,
    ) -> Result<Self, InvalidPassword> {
        let minimum = rules.minimum.max(LEAST_MINIMUM);
        let password = Self::present(text)?;
        if password.reveal().chars().count() < minimum {
            return Err(InvalidPassword::TooShort(minimum));
        }
        if guessable::is_guessable(password.reveal(), &rules.product, email) {
            return Err(InvalidPassword::Guessable);
        }
        Ok(password)
    }

    /// A password that is being proved: today's rules say nothing about one that was chosen under others.
    ///
    /// # Errors
    /// [`InvalidPassword::TooLong`], which no stored password is.
    pub fn present(text: &str) -> Result<Self, InvalidPassword> {
        let text: String = text.nfc().take(MAX_PASSWORD + 1).collect();
        if text.chars().count() > MAX_PASSWORD {
            return Err(InvalidPassword::TooLong);
        }
        Ok(Self(SecretString::from(text)))
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

    /// Whether `password` is the one that `hash` was made of. Where there is no hash to compare with, because nobody has
    /// the address, the answer is no after the same work.
    ///
    /// # Errors
    /// As [`hash`](Self::hash).
    async fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<bool, HashError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(text: &str, minimum: usize) -> Result<Password, InvalidPassword> {
        let rules = PasswordRules {
            minimum,
            product: "Posthaste".into(),
        };
        let email = "ada.lovelace@example.com".parse().unwrap();
        Password::choose(text, &rules, Some(&email))
    }

    #[track_caller]
    fn check(text: &str, expected: Result<(), InvalidPassword>) {
        assert_eq!(choose(text, 15).map(|_| ()), expected, "{text:?}");
    }

    /// S15.
    #[test]
    fn length_counts_and_composition_does_not() {
        check("fourteen chars", Err(InvalidPassword::TooShort(15)));
        check("fifteen chars !", Ok(()));
        check("   spaces   count   ", Ok(()));
        check("only lower case letters", Ok(()));
        let long = |length| {
            "a long passphrase, "
                .chars()
                .cycle()
                .take(length)
                .chain(['!'])
        };
        check(&long(255).collect::<String>(), Ok(()));
        check(
            &long(256).collect::<String>(),
            Err(InvalidPassword::TooLong),
        );
        assert_eq!(
            choose("seven77", 1).map(|_| ()),
            Err(InvalidPassword::TooShort(8))
        );
    }

    /// S15.
    #[test]
    fn the_first_guesses_are_refused() {
        for text in [
            "passwordpassword",
            "PasswordPassword",
            "1234567890123456",
            "aaaaaaaaaaaaaaaa",
            "abcdefghijklmnop",
            "zyxwvutsrqponmlk",
            "qwertyuiopasdfgh",
            "ada.lovelace@example.com",
            "ADA.LOVELACE1234",
            "posthasteposthaste",
            "Posthaste2026!!!",
        ] {
            check(text, Err(InvalidPassword::Guessable));
        }
        for text in [
            "correct horse battery",
            "Ada's Difference Engine",
            "posthaste is the mail desk I like",
            "tr0ub4dor&3 tr0ub4dor",
        ] {
            check(text, Ok(()));
        }
    }

    #[test]
    fn both_spellings_of_an_accent_are_one_password() {
        let composed = choose("caf\u{e9} caf\u{e9} caf\u{e9} !", 15).unwrap();
        let decomposed = choose("cafe\u{301} cafe\u{301} cafe\u{301} !", 15).unwrap();
        assert_eq!(composed.reveal(), decomposed.reveal());
    }

    #[test]
    fn todays_rules_do_not_touch_a_password_that_is_proved() {
        assert_eq!(Password::present("short").unwrap().reveal(), "short");
        assert_eq!(
            Password::present(&"x".repeat(257)).map(|_| ()),
            Err(InvalidPassword::TooLong)
        );
    }
}

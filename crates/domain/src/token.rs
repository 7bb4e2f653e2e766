//! One-time secrets that are mailed to people or handed to clients: 256 random bits, stored as their SHA-256 only.
//!
//! A plain hash suffices: guessing 256 random bits is hopeless, so nothing slow is needed to protect them.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

/// Digits in a token's text.
const DIGITS: usize = 64;

/// The secret itself. It shows itself to nobody: the text comes only from [`TokenSecret::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret([u8; 32]);

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("no random bytes from the operating system: {0}")]
pub struct NoRandomness(getrandom::Error);

/// A text that is not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token")]
pub struct InvalidToken;

impl NoRandomness {
    pub(crate) fn from_source(error: getrandom::Error) -> Self {
        Self(error)
    }
}

impl TokenSecret {
    /// A new secret from the operating system's random source.
    ///
    /// # Errors
    /// [`NoRandomness`] if that source fails; there is no fall-back.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(NoRandomness)?;
        Ok(Self(bytes))
    }

    /// The text for the link: 64 hexadecimal digits.
    #[must_use]
    pub fn reveal(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What is stored instead of the secret.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0).into())
    }
}

impl FromStr for TokenSecret {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let digits = text.as_bytes();
        if digits.len() != DIGITS || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(InvalidToken);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| InvalidToken)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidToken)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(***)")
    }
}

/// SHA-256 of a secret: tells nothing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

/// What a one-time token permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenPurpose {
    /// Confirming the address of a new account.
    ConfirmAccount,
    /// Choosing a new password.
    ResetPassword,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_survives_its_text_and_hides_in_debug_output() {
        let secret = TokenSecret::generate().unwrap();
        let text = secret.reveal();
        assert_eq!(text.parse(), Ok(secret.clone()));
        assert!(!format!("{secret:?}").contains(&text));
        assert_ne!(secret.hash(), TokenSecret::generate().unwrap().hash());
    }

    #[test]
    fn other_texts_are_not_tokens() {
        for text in [
            "",
            "abc",
            &"g".repeat(64),
            &"a".repeat(63),
            &"a".repeat(65),
            &"é".repeat(32),
        ] {
            assert_eq!(text.parse::<TokenSecret>(), Err(InvalidToken), "{text:?}");
        }
    }
}

//! Encryption of what must not be read out of a copy of the database: links that open accounts, while their mail waits.
//!
//! ChaCha20-Poly1305 (RFC 8439) with a random nonce, bound to the row it stands in. The key is kept apart from the
//! database; a row that was sealed under another key, or moved, or touched, does not open.

use std::{fmt, str::FromStr};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// A key of 256 bits, as 64 hexadecimal digits. It shows itself to nobody.
#[derive(Clone)]
pub struct SealingKey([u8; 32]);

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits")]
pub struct InvalidSealingKey;

impl FromStr for SealingKey {
    type Err = InvalidSealingKey;

    fn from_str(text: &str) -> Result<Self, InvalidSealingKey> {
        let digits = text.trim().as_bytes();
        let mut key = [0; 32];
        if digits.len() != 2 * key.len() {
            return Err(InvalidSealingKey);
        }
        for (byte, pair) in key.iter_mut().zip(digits.chunks(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16).ok_or(InvalidSealingKey);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).map_err(|_| InvalidSealingKey)?;
        }
        Ok(Self(key))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(***)")
    }
}

/// Seals and opens.
pub(crate) struct Sealer(LessSafeKey);

impl Sealer {
    pub(crate) fn new(key: &SealingKey) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key.0);
        Self(LessSafeKey::new(
            key.expect("the key has the cipher's length"),
        ))
    }

    /// Nonce, text and tag, for the row `row`.
    pub(crate) fn seal(&self, row: &[u8], text: Vec<u8>) -> Vec<u8> {
        // 96 random bits: two of 2^32 messages under one key meet with a chance of one in 2^33.
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce)
            .expect("the system gives random bytes, or it could not have started");
        let mut sealed = text;
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(row),
                &mut sealed,
            )
            .expect("a message is shorter than the cipher's limit");
        [&nonce[..], &sealed].concat()
    }

    /// The text, if it was sealed by this key for this row.
    pub(crate) fn open(&self, row: &[u8], mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        if sealed.len() < NONCE_LEN {
            return None;
        }
        let mut text = sealed.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&sealed).ok()?;
        let length = self
            .0
            .open_in_place(nonce, Aad::from(row), &mut text)
            .ok()?
            .len();
        text.truncate(length);
        Some(text)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(digit: &str) -> Sealer {
        Sealer::new(&digit.repeat(64).parse().unwrap())
    }

    #[test]
    fn what_is_sealed_opens_under_its_key_and_in_its_row_only() {
        let sealed = sealer("a").seal(b"row", b"a secret link".to_vec());
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        let open = |sealer: Sealer, row: &[u8], sealed: &[u8]| sealer.open(row, sealed.to_vec());
        assert_eq!(
            open(sealer("a"), b"row", &sealed),
            Some(b"a secret link".to_vec())
        );
        assert_eq!(open(sealer("b"), b"row", &sealed), None);
        assert_eq!(open(sealer("a"), b"another", &sealed), None);
        for at in [0, 12, sealed.len() - 1] {
            let mut touched = sealed.clone();
            touched[at] ^= 1;
            assert_eq!(open(sealer("a"), b"row", &touched), None, "byte {at}");
        }
        assert_eq!(open(sealer("a"), b"row", &sealed[..11]), None);
        assert_eq!(open(sealer("a"), b"row", &sealed[..13]), None);
    }

    #[test]
    fn the_same_text_is_sealed_differently_each_time() {
        let sealer = sealer("a");
        assert_ne!(
            sealer.seal(b"row", b"x".to_vec()),
            sealer.seal(b"row", b"x".to_vec())
        );
    }

    #[test]
    fn a_key_is_64_hexadecimal_digits_and_hides() {
        for text in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
            assert!(text.parse::<SealingKey>().is_err(), "{text}");
        }
        let key: SealingKey = format!("{}\n", "aF".repeat(32)).parse().unwrap();
        assert!(!format!("{key:?}").contains("af"));
    }
}

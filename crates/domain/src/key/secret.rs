//! The text of a key: `re_ph_`, 32 random digits of base 62 (190 bits), and 6 that check them (CRC-32). Scanners for leaked
//! secrets find it, and one with a typing error is refused without a look at the database.

use std::fmt;

use crate::token::NoRandomness;

/// What each key begins with.
pub const PREFIX: &str = "re_ph_";
/// Random digits.
const RANDOM: usize = 32;
/// Digits that check them: 62^6 is more than 2^32.
const CHECK: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Bytes from here on are drawn again, or some digits would come more often than others.
const UNEVEN: u8 = 248;

/// The text of a new key. It shows itself to nobody but by [`KeySecret::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct KeySecret(String);

impl KeySecret {
    /// A new key from the operating system's random source.
    ///
    /// # Errors
    /// [`NoRandomness`] if that source fails; there is no fall-back.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut text = PREFIX.to_owned();
        while text.len() < PREFIX.len() + RANDOM {
            let mut bytes = [0; RANDOM];
            getrandom::fill(&mut bytes).map_err(NoRandomness::from_source)?;
            let even = bytes.into_iter().filter(|byte| *byte < UNEVEN);
            let missing = PREFIX.len() + RANDOM - text.len();
            text.extend(even.take(missing).map(digit));
        }
        let check = check(&text[PREFIX.len()..]);
        text.push_str(&check);
        Ok(Self(text))
    }

    /// The text, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The beginning of the text, by which people tell keys apart.
    #[must_use]
    pub fn beginning(&self) -> &str {
        &self.0[..PREFIX.len() + 4]
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(***)")
    }
}

/// Whether a text can be a key that was made here.
#[must_use]
pub fn is_well_formed(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(PREFIX) else {
        return false;
    };
    rest.len() == RANDOM + CHECK
        && rest.bytes().all(|byte| DIGITS.contains(&byte))
        && rest[RANDOM..] == check(&rest[..RANDOM])
}

fn digit(byte: u8) -> char {
    char::from(DIGITS[usize::from(byte) % DIGITS.len()])
}

fn check(random: &str) -> String {
    let mut left = crc32fast::hash(random.as_bytes());
    let mut digits = ['0'; CHECK];
    for place in digits.iter_mut().rev() {
        let value = u8::try_from(left % 62).unwrap_or_default();
        *place = digit(value);
        left /= 62;
    }
    digits.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_form_and_any_typing_error_breaks_it() {
        let key = KeySecret::generate().unwrap();
        let text = key.reveal();
        assert_eq!(text.len(), 44);
        assert!(is_well_formed(text), "{text}");
        assert_ne!(KeySecret::generate().unwrap(), key);
        for at in PREFIX.len()..text.len() {
            let mut typed = text.as_bytes().to_vec();
            typed[at] = if typed[at] == b'x' { b'y' } else { b'x' };
            assert!(
                !is_well_formed(std::str::from_utf8(&typed).unwrap()),
                "{at}"
            );
        }
        for other in [
            "",
            "re_123",
            "re_ph_",
            &text[..43],
            &format!("{text}0"),
            "re_ph_ü",
        ] {
            assert!(!is_well_formed(other), "{other}");
        }
        assert_eq!(format!("{key:?}"), "KeySecret(***)");
    }

    /// CRC-32 of "123456789" is cbf43926 (ISO 3309): 3421780262 in base 62.
    #[test]
    fn the_check_is_crc_32_in_base_62() {
        assert_eq!(check("123456789"), "3jZRME");
    }
}

//! The public half of a key, as the DNS publishes it (RFC 6376 section 3.6.1).

use base64::{Engine, engine::general_purpose::STANDARD};

/// Longest text inside a TXT record (RFC 1035 section 3.3).
const MAX_TEXT: usize = 255;
/// The algorithm of an RSA key in a `SubjectPublicKeyInfo` (RFC 3279 section 2.3.1), whole.
const RSA_ENCRYPTION: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// A TXT record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsRecord {
    /// Its full name, without the last dot.
    pub name: String,
    /// Its value, whole.
    pub value: String,
}

impl DnsRecord {
    pub(super) fn ed25519(name: String, public: &[u8]) -> Self {
        let value = format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(public));
        Self { name, value }
    }

    /// `public` is an `RSAPublicKey`; published is the `SubjectPublicKeyInfo` around it, which is what receivers expect
    /// (RFC 6376 appendix C).
    pub(super) fn rsa(name: String, public: &[u8]) -> Self {
        let bits = tagged(0x03, &[&[0], public].concat());
        let info = tagged(0x30, &[&RSA_ENCRYPTION, bits.as_slice()].concat());
        let value = format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(info));
        Self { name, value }
    }

    /// The value in texts of at most 255 bytes, as a zone file wants them; receivers join them again.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        let mut texts = Vec::new();
        let mut rest = self.value.as_str();
        while rest.len() > MAX_TEXT {
            let (text, after) = rest.split_at(MAX_TEXT);
            texts.push(text);
            rest = after;
        }
        texts.push(rest);
        texts
    }
}

/// A DER element. Lengths of 128 and more stand in bytes of their own, behind their number.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut out = vec![tag];
    match length {
        [] => out.push(0),
        [short @ 0..=127] => out.push(*short),
        long => {
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(8));
            out.extend(long);
        }
    }
    out.extend(content);
    out
}

//! A private key of a domain: read from PEM, or made.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use posthaste_domain::address::EmailAddress;
use ring::{
    digest,
    error::KeyRejected,
    rand::{SecureRandom, SystemRandom},
    signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use secrecy::SecretString;

use super::{DnsRecord, SignError};

/// Longest name in the DNS (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;
/// Object identifier of Ed25519 keys inside PKCS#8 (RFC 8410 section 3).
const ED25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];
/// What stands before the seed in an Ed25519 key in PKCS#8 (RFC 8410 section 7). ring's own form adds the public key,
/// which OpenSSL 3.0 does not read.
const ED25519_PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Why a key cannot be used. No message shows any of it.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDkimKey {
    /// Not a domain that mail can come from.
    #[error("`{0}` is not a domain")]
    Domain(String),
    /// Not a name in the DNS, or too long a one together with the domain.
    #[error("`{0}` is not a selector: letters, digits and inner hyphens, with dots between them")]
    Selector(String),
    /// No PEM, or an encrypted key.
    #[error("expected PEM with an unencrypted PRIVATE KEY or RSA PRIVATE KEY")]
    Pem,
    /// ring takes RSA keys of 2048 to 4096 bits; shorter ones are no protection any more (RFC 8301 section 3.2).
    #[error("expected an RSA key of 2048 to 4096 bits, or an Ed25519 key ({0})")]
    Rsa(KeyRejected),
    /// Damaged.
    #[error("the Ed25519 key is damaged ({0})")]
    Ed25519(KeyRejected),
    /// Neither RSA nor Ed25519.
    #[error("expected an RSA or an Ed25519 key, not one of another elliptic curve")]
    Kind,
}

/// The system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

/// How a key signs. In the order of the signatures of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// RSA PKCS#1 v1.5 with SHA-256: every receiver can check it.
    Rsa,
    /// Ed25519 (RFC 8463): short and fast, not checked everywhere.
    Ed25519,
}

impl Algorithm {
    /// The value of `a=`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa => "rsa-sha256",
            Self::Ed25519 => "ed25519-sha256",
        }
    }
}

enum Pair {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A private key of a domain, and the selector under which its public half is published.
pub struct DkimKey {
    domain: String,
    selector: String,
    pair: Pair,
}

impl fmt::Debug for DkimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DkimKey")
            .field("domain", &self.domain)
            .field("selector", &self.selector)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

impl DkimKey {
    /// The key of a PEM text: RSA in PKCS#8 or PKCS#1, Ed25519 in PKCS#8. An international domain becomes its A-label.
    ///
    /// # Errors
    /// [`InvalidDkimKey`].
    pub fn from_pem(domain: &str, selector: &str, pem: &str) -> Result<Self, InvalidDkimKey> {
        let domain = checked_domain(domain)?;
        let selector = checked_selector(selector, &domain)?;
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| InvalidDkimKey::Pem)?;
        let pair = match &der {
            PrivateKeyDer::Pkcs1(der) => {
                let read = RsaKeyPair::from_der(der.secret_pkcs1_der());
                Pair::Rsa(read.map_err(InvalidDkimKey::Rsa)?)
            }
            PrivateKeyDer::Pkcs8(der) => of_pkcs8(der.secret_pkcs8_der())?,
            _ => return Err(InvalidDkimKey::Kind),
        };
        Ok(Self {
            domain,
            selector,
            pair,
        })
    }

    /// The domain that vouches: `d=`.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The selector, in lower case: `s=`.
    #[must_use]
    pub fn selector(&self) -> &str {
        &self.selector
    }

    /// How it signs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match &self.pair {
            Pair::Rsa(_) => Algorithm::Rsa,
            Pair::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// The record by which receivers check its signatures.
    #[must_use]
    pub fn record(&self) -> DnsRecord {
        let name = format!("{}._domainkey.{}", self.selector, self.domain);
        match &self.pair {
            Pair::Rsa(pair) => DnsRecord::rsa(name, pair.public_key().as_ref()),
            Pair::Ed25519(pair) => DnsRecord::ed25519(name, pair.public_key().as_ref()),
        }
    }

    pub(super) fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    input,
                    &mut signature,
                )
                .map_err(|_| SignError)?;
                Ok(signature)
            }
            // Of the hash, not of the text (RFC 8463 section 3).
            Pair::Ed25519(pair) => {
                let hash = digest::digest(&digest::SHA256, input);
                Ok(pair.sign(hash.as_ref()).as_ref().to_vec())
            }
        }
    }
}

fn of_pkcs8(der: &[u8]) -> Result<Pair, InvalidDkimKey> {
    // Behind the lengths and the version, and before the key.
    let head = &der[..der.len().min(ED25519_PKCS8.len())];
    if head.windows(ED25519.len()).any(|part| part == ED25519) {
        let read = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
        return Ok(Pair::Ed25519(read.map_err(InvalidDkimKey::Ed25519)?));
    }
    let read = RsaKeyPair::from_pkcs8(der);
    Ok(Pair::Rsa(read.map_err(InvalidDkimKey::Rsa)?))
}

fn checked_domain(domain: &str) -> Result<String, InvalidDkimKey> {
    let address: Result<EmailAddress, _> = format!("a@{domain}").parse();
    address
        .ok()
        .filter(|_| !domain.contains(['@', ' ', '\t']))
        .map(|address| address.domain().to_owned())
        .ok_or_else(|| InvalidDkimKey::Domain(domain.to_owned()))
}

fn checked_selector(selector: &str, domain: &str) -> Result<String, InvalidDkimKey> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let name = selector.len() + "._domainkey.".len() + domain.len();
    if name <= MAX_NAME && selector.split('.').all(is_label) {
        Ok(selector.to_ascii_lowercase())
    } else {
        Err(InvalidDkimKey::Selector(selector.to_owned()))
    }
}

/// A new Ed25519 key as PEM, in the form that OpenSSL writes.
///
/// # Errors
/// [`NoRandomness`].
pub fn new_ed25519() -> Result<SecretString, NoRandomness> {
    let mut seed = [0; 32];
    SystemRandom::new()
        .fill(&mut seed)
        .map_err(|_| NoRandomness)?;
    let encoded = STANDARD.encode([ED25519_PKCS8.as_slice(), &seed].concat());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{encoded}\n-----END PRIVATE KEY-----\n");
    Ok(SecretString::from(pem))
}

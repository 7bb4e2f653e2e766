//! Signatures of our own domains on outgoing mail: DKIM (RFC 6376) with RSA and with Ed25519 (RFC 8463).
//!
//! A signature is the last thing that is done to a mail, over relaxed headers and the relaxed body, all of it. A pure
//! function again: its time is the mail's `Date` and both algorithms are deterministic, so each attempt sends the same
//! bytes, in whichever process.
//!
//! Made by `ring` alone. A package that also verifies would bring a DNS resolver and some forty others along for what is
//! a canonical form and one call.

mod canonical;
mod field;
mod key;
mod record;

use std::{collections::BTreeMap, sync::Arc};

use posthaste_domain::{address::EmailAddress, buffer::buffer, clock::Timestamp};

use self::{
    canonical::{body_hash, relaxed, split},
    field::Unsigned,
};
pub use self::{
    key::{Algorithm, DkimKey, InvalidDkimKey, NoRandomness, new_ed25519},
    record::DnsRecord,
};

/// The headers that are signed where they are there (RFC 6376 section 5.4.1, RFC 8058 section 4).
const SIGNED: [&str; 11] = [
    "from",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "mime-version",
    "content-type",
    "list-unsubscribe",
    "list-unsubscribe-post",
];

/// Two keys of one domain have the same selector: receivers would check one's signatures by the other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is another key of {domain} with the selector `{selector}`")]
pub struct SelectorTaken {
    /// The domain.
    pub domain: String,
    /// The selector.
    pub selector: String,
}

/// A key refused to sign, which takes a fault of this machine: its source of randomness, by which ring hides an RSA key
/// from whoever measures it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mail cannot be signed")]
pub struct SignError;

/// Signs mail by the keys of its `From` domain. Without keys it leaves mail as it is.
#[derive(Debug, Clone, Default)]
pub struct Signer {
    keys: BTreeMap<String, Vec<Arc<DkimKey>>>,
}

impl Signer {
    /// One more key. RSA comes first, so that a receiver which looks at one signature finds the one that all can check.
    ///
    /// # Errors
    /// [`SelectorTaken`], and the key is not taken.
    pub fn add(&mut self, key: DkimKey) -> Result<(), SelectorTaken> {
        let of_domain = self.keys.entry(key.domain().to_owned()).or_default();
        if of_domain.iter().any(|k| k.selector() == key.selector()) {
            return Err(SelectorTaken {
                domain: key.domain().to_owned(),
                selector: key.selector().to_owned(),
            });
        }
        of_domain.push(Arc::new(key));
        of_domain.sort_by(|a, b| (a.algorithm(), a.selector()).cmp(&(b.algorithm(), b.selector())));
        Ok(())
    }

    /// The keys that sign mail from `domain`: its own, else those of the nearest domain above it, which DMARC takes for
    /// the same organisation (RFC 7489 section 3.1.1).
    #[must_use]
    pub fn keys_for(&self, domain: &str) -> &[Arc<DkimKey>] {
        let mut domain = Some(domain);
        while let Some(here) = domain {
            if let Some(keys) = self.keys.get(here) {
                return keys;
            }
            domain = here.split_once('.').map(|(_, above)| above);
        }
        &[]
    }

    /// The finished message with a signature by each key of the sender's domain in front; `at` is its `Date`.
    ///
    /// # Errors
    /// [`SignError`]; it says nothing about the message.
    pub fn sign(
        &self,
        from: &EmailAddress,
        at: Timestamp,
        message: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        let keys = self.keys_for(from.domain());
        if keys.is_empty() {
            return Ok(message);
        }
        let (fields, body) = split(&message);
        let hash = body_hash(body);
        let mut names = Vec::new();
        let mut signed = Vec::new();
        for name in SIGNED {
            // Of several, the last one is named first (RFC 6376 section 5.4.2).
            for field in fields.iter().rev().filter(|field| field.is(name)) {
                names.push(name);
                relaxed(field, &mut signed);
            }
        }
        // Named once more than it is there: a second `From` that somebody adds breaks the signature.
        names.push("from");
        let mut out = buffer(message.len() + keys.len() * 1024);
        for key in keys {
            out.extend(signature(key, at, &names, &hash, &signed)?);
        }
        out.extend(message);
        Ok(out)
    }
}

fn signature(
    key: &DkimKey,
    at: Timestamp,
    names: &[&str],
    body_hash: &[u8],
    signed: &[u8],
) -> Result<Vec<u8>, SignError> {
    let unsigned = Unsigned::new(key, at, names, body_hash);
    let mut input = signed.to_vec();
    relaxed(&unsigned.as_field(), &mut input);
    // The signature's own header is signed without its line end (RFC 6376 section 3.7).
    input.truncate(input.len() - 2);
    Ok(unsigned.sealed_by(&key.sign(&input)?))
}

#[cfg(test)]
#[path = "dkim_tests.rs"]
mod tests;

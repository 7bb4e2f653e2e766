//! API keys: who presents one, and what it permits.
//!
//! A key is looked up by its SHA-256, so the comparison takes the same time whatever part of a guess is right, and a ring
//! that is dumped tells no key.

mod chain;
mod secret;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use sha2::{Digest, Sha256};

pub use self::{
    chain::{BELIEVED, KeyChain},
    secret::{KeySecret, PREFIX, is_well_formed},
};
use crate::{
    address::EmailAddress,
    owner::{Owner, Scope},
    stream::StreamName,
};

/// SHA-256 of the text of a key: it tells nothing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Of this text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// The bytes, for storage.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What is known of a key, the key itself apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its name, for logs.
    pub name: String,
    /// On whose behalf it acts.
    pub owner: Owner,
    /// What it permits.
    pub scopes: BTreeSet<Scope>,
    /// The streams that it may send by; any if absent.
    pub streams: Option<BTreeSet<StreamName>>,
    /// The domains that it may send from, in lower case; any if absent.
    pub from_domains: Option<BTreeSet<String>>,
}

impl ApiKey {
    /// A key of these scopes, for every stream and sender.
    #[must_use]
    pub fn new(name: &str, owner: Owner, scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self {
            name: name.to_owned(),
            owner,
            scopes: scopes.into_iter().collect(),
            streams: None,
            from_domains: None,
        }
    }

    /// Whether it permits all that `other` permits.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        fn within<T: Ord>(all: &Option<BTreeSet<T>>, some: &Option<BTreeSet<T>>) -> bool {
            match (all, some) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(all), Some(some)) => some.is_subset(all),
            }
        }
        other.scopes.is_subset(&self.scopes)
            && within(&self.streams, &other.streams)
            && within(&self.from_domains, &other.from_domains)
    }

    /// Whether it may send by this stream.
    #[must_use]
    pub fn may_use(&self, stream: &StreamName) -> bool {
        self.streams
            .as_ref()
            .is_none_or(|streams| streams.contains(stream))
    }

    /// Whether it may send from this address.
    #[must_use]
    pub fn may_send_from(&self, address: &EmailAddress) -> bool {
        self.from_domains
            .as_ref()
            .is_none_or(|domains| domains.contains(&address.domain().to_ascii_lowercase()))
    }

    /// Whether it permits `scope`.
    #[must_use]
    pub fn permits(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// The keys that are valid, by hash.
#[derive(Clone, Default)]
pub struct KeyRing(HashMap<KeyHash, ApiKey>);

impl KeyRing {
    /// The same with one more key; a second one of the same text takes the place of the first.
    #[must_use]
    pub fn with(mut self, secret: &str, key: ApiKey) -> Self {
        self.0.insert(KeyHash::of(secret), key);
        self
    }

    /// The key that was presented, if it is valid.
    #[must_use]
    pub fn find(&self, presented: &str) -> Option<&ApiKey> {
        self.0.get(&KeyHash::of(presented))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.values().map(|key| &key.name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_whole_text_and_never_shown() {
        let key = ApiKey::new("development", "default".parse().unwrap(), [Scope::Send]);
        let ring = KeyRing::default().with("re_secret", key.clone());
        assert_eq!(ring.find("re_secret"), Some(&key));
        for wrong in ["", "re_secre", "re_secret ", "RE_SECRET"] {
            assert_eq!(ring.find(wrong), None, "{wrong:?}");
        }
        assert!(key.permits(Scope::Send) && !key.permits(Scope::Admin));
        assert!(!format!("{ring:?}").contains("re_secret"));
    }
}

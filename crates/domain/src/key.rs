//! API keys: who presents one, and what it permits.
//!
//! A key is looked up by its SHA-256, so the comparison takes the same time whatever part of a guess is right, and a ring
//! that is dumped tells no key.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use sha2::{Digest, Sha256};

use crate::owner::{Owner, Scope};

/// What is known of a key, the key itself apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its name, for logs.
    pub name: String,
    /// On whose behalf it acts.
    pub owner: Owner,
    /// What it permits.
    pub scopes: BTreeSet<Scope>,
}

impl ApiKey {
    /// Whether it permits `scope`.
    #[must_use]
    pub fn permits(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// The keys that are valid, by hash.
#[derive(Clone, Default)]
pub struct KeyRing(HashMap<[u8; 32], ApiKey>);

impl KeyRing {
    /// The same with one more key; a second one of the same text takes the place of the first.
    #[must_use]
    pub fn with(mut self, secret: &str, key: ApiKey) -> Self {
        self.0.insert(hash(secret), key);
        self
    }

    /// The key that was presented, if it is valid.
    #[must_use]
    pub fn find(&self, presented: &str) -> Option<&ApiKey> {
        self.0.get(&hash(presented))
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

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_whole_text_and_never_shown() {
        let key = ApiKey {
            name: "development".into(),
            owner: "default".parse().unwrap(),
            scopes: [Scope::Send].into(),
        };
        let ring = KeyRing::default().with("re_secret", key.clone());
        assert_eq!(ring.find("re_secret"), Some(&key));
        for wrong in ["", "re_secre", "re_secret ", "RE_SECRET"] {
            assert_eq!(ring.find(wrong), None, "{wrong:?}");
        }
        assert!(key.permits(Scope::Send) && !key.permits(Scope::Admin));
        assert!(!format!("{ring:?}").contains("re_secret"));
    }
}

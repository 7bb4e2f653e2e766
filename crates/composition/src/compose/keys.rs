//! API keys: those of the settings, and the stored ones for commands.

use std::sync::Arc;

use posthaste_domain::{
    clock::{Clock, SystemClock},
    key::{ApiKey, KeyRing},
    stores::ApiKeyStore,
};
use posthaste_store::{Migrate, Store};
use secrecy::ExposeSecret;

use super::{ComposeError, open_store};
use crate::settings::Settings;

/// The keys of the settings.
pub(super) fn configured(settings: &Settings) -> KeyRing {
    settings
        .keys
        .iter()
        .fold(KeyRing::default(), |ring, seeded| {
            let scopes = seeded.scopes.iter().copied().collect();
            let key = ApiKey {
                scopes,
                streams: seeded.streams.clone().map(|all| all.into_iter().collect()),
                from_domains: seeded
                    .from_domains
                    .clone()
                    .map(|all| all.into_iter().collect()),
                ..ApiKey::new(&seeded.name, seeded.owner.clone(), [])
            };
            ring.with(seeded.key.expose_secret(), key)
        })
}

/// The stored keys, for a command that ends soon. On SQLite nobody else may have the file open.
#[derive(Debug)]
pub struct OpenKeys(Arc<Store>);

impl OpenKeys {
    /// Opens the database.
    ///
    /// # Errors
    /// [`ComposeError`].
    pub async fn open(settings: &Settings) -> Result<Self, ComposeError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (store, _) = open_store(settings, &clock, Migrate::Apply).await?;
        Ok(Self(store))
    }

    /// The keys.
    #[must_use]
    pub fn store(&self) -> &dyn ApiKeyStore {
        &*self.0
    }

    /// Closes the database.
    pub async fn close(self) {
        self.0.close().await;
    }
}

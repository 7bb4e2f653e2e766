//! The chain of keys: those of the settings, and those that are stored.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use posthaste_domain::{
    clock::{Clock, ManualClock, Timestamp, later},
    id::KeyId,
    key::{ApiKey, BELIEVED, KeyChain, KeyRing, KeySecret},
    owner::Scope,
    stores::{MockApiKeyStore, StoreError, StoredApiKey},
};

const SECOND: Duration = Duration::from_secs(1);

fn stored(expires_at: Option<Timestamp>) -> StoredApiKey {
    StoredApiKey {
        id: KeyId::new(Timestamp::UNIX_EPOCH),
        key: ApiKey::new("k", "shop".parse().expect("sound"), [Scope::Send]),
        beginning: "re_ph_abcd".into(),
        created_at: Timestamp::UNIX_EPOCH,
        expires_at,
        last_used_at: None,
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(
        "2026-12-01T09:00:00Z".parse().expect("sound"),
    ))
}

async fn is_valid(chain: &KeyChain, key: &str) -> bool {
    chain.find(key).await.expect("sound").is_some()
}

#[tokio::test]
async fn a_stored_key_is_believed_for_five_seconds() {
    let clock = clock();
    let mut store = MockApiKeyStore::new();
    store
        .expect_find()
        .times(1)
        .returning(|_| Ok(Some(stored(None))));
    store.expect_find().times(2).returning(|_| Ok(None));
    store.expect_used().times(1).returning(|_, _| Ok(()));
    let now: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let chain = KeyChain::new(KeyRing::default(), Arc::new(store), now);
    let key = KeySecret::generate().expect("sound");
    assert!(is_valid(&chain, key.reveal()).await);
    clock.advance(BELIEVED - SECOND);
    assert!(is_valid(&chain, key.reveal()).await);
    clock.advance(SECOND);
    assert!(!is_valid(&chain, key.reveal()).await, "it was taken away");
    assert!(!is_valid(&chain, key.reveal()).await);
    chain.forget();
    assert!(!is_valid(&chain, key.reveal()).await);
}

#[tokio::test]
async fn a_key_ends_at_its_time_and_not_when_it_is_asked_for_again() {
    let clock = clock();
    let expires_at = Some(later(clock.now(), SECOND));
    let mut store = MockApiKeyStore::new();
    store
        .expect_find()
        .times(1)
        .returning(move |_| Ok(Some(stored(expires_at))));
    store
        .expect_used()
        .returning(|_, _| Err(StoreError::Overloaded));
    let now: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let chain = KeyChain::new(KeyRing::default(), Arc::new(store), now);
    let key = KeySecret::generate().expect("sound");
    assert!(is_valid(&chain, key.reveal()).await);
    clock.advance(SECOND);
    assert!(!is_valid(&chain, key.reveal()).await);
}

/// Keys of the settings may be any text; what is neither that nor well formed asks nobody.
#[tokio::test]
async fn the_store_is_not_asked_for_what_it_cannot_have() {
    let key = ApiKey::new("seeded", "shop".parse().expect("sound"), [Scope::Send]);
    let ring = KeyRing::default().with("re_123", key);
    let chain = KeyChain::new(ring, Arc::new(MockApiKeyStore::new()), clock());
    assert!(is_valid(&chain, "re_123").await);
    assert!(!is_valid(&chain, "re_124").await);
    assert!(!is_valid(&chain, "re_ph_0123456789abcdefghijABCDEFGHIJ01000000").await);
}

/// What was read before a key was removed is not believed after it.
#[tokio::test]
async fn an_answer_that_a_change_overtook_is_forgotten() {
    let chain: Arc<OnceLock<KeyChain>> = Arc::default();
    let changed = Arc::clone(&chain);
    let mut store = MockApiKeyStore::new();
    store.expect_used().returning(|_, _| Ok(()));
    store.expect_find().times(1).returning(move |_| {
        // Removed between the read and its answer.
        changed.get().expect("it is there").forget();
        Ok(Some(stored(None)))
    });
    store.expect_find().times(1).returning(|_| Ok(None));
    let chain = chain.get_or_init(|| KeyChain::new(KeyRing::default(), Arc::new(store), clock()));
    let key = KeySecret::generate().expect("sound");
    assert!(is_valid(chain, key.reveal()).await, "as it was then");
    assert!(!is_valid(chain, key.reveal()).await);
}

//! Stored API keys.

use std::time::Duration;

use posthaste_domain::{
    clock::{Clock, Timestamp, later},
    id::KeyId,
    key::{ApiKey, KeyHash},
    owner::Scope,
    stores::{ApiKeyStore, NewApiKey, NextApiKey},
};

use crate::support::{Bench, owner};

const HOUR: Duration = Duration::from_secs(3600);

fn key(at: Timestamp, text: &str) -> NewApiKey {
    NewApiKey {
        id: KeyId::new(at),
        key: ApiKey {
            streams: Some(["otp".parse().expect("a stream")].into()),
            from_domains: Some(["acme.com".to_owned()].into()),
            ..ApiKey::new("Läden, \"alle\"", owner(), [Scope::Send, Scope::Read])
        },
        hash: KeyHash::of(text),
        beginning: text[..3].to_owned(),
        created_at: at,
        expires_at: None,
    }
}

#[tokio::test]
async fn a_key_is_found_by_its_hash_listed_and_removed_by_its_owner_alone() {
    let bench = Bench::new().await;
    let (store, now) = (&bench.store, bench.clock.now());
    let first = key(now, "first");
    let mut second = key(now, "second");
    second.key = ApiKey::new("other", "another-owner".parse().unwrap(), Scope::ALL);
    second.expires_at = Some(later(now, HOUR));
    for key in [&first, &second] {
        store.add(key.clone()).await.unwrap();
    }
    let found = store.find(first.hash).await.unwrap().expect("it is there");
    assert_eq!((found.id, &found.key), (first.id, &first.key));
    assert_eq!((found.last_used_at, found.expires_at), (None, None));
    let found = store.find(second.hash).await.unwrap().expect("it is there");
    assert_eq!(
        (&found.key, found.expires_at),
        (&second.key, second.expires_at)
    );
    assert_eq!(store.find(KeyHash::of("third")).await.unwrap(), None);
    store.used(first.id, later(now, HOUR)).await.unwrap();
    let mine = store.keys(Some(owner())).await.unwrap();
    assert_eq!(mine.len(), 1);
    assert_eq!(mine[0].last_used_at, Some(later(now, HOUR)));
    assert_eq!(store.keys(None).await.unwrap().len(), 2);
    let foreign = "another-owner".parse().unwrap();
    assert!(
        !store
            .rename(&foreign, first.id, "mine".into())
            .await
            .unwrap()
    );
    assert!(
        store
            .rename(&owner(), first.id, "new".into())
            .await
            .unwrap()
    );
    let renamed = store.find(first.hash).await.unwrap().expect("it is there");
    assert_eq!(renamed.key.name, "new");
    assert!(!store.remove(&foreign, first.id).await.unwrap());
    assert!(store.remove(&owner(), first.id).await.unwrap());
    assert!(!store.remove(&owner(), first.id).await.unwrap());
    assert_eq!(store.find(first.hash).await.unwrap(), None);
}

#[tokio::test]
async fn a_key_that_is_replaced_works_for_the_overlap_and_not_longer_than_before() {
    let bench = Bench::new().await;
    let (store, now) = (&bench.store, bench.clock.now());
    let next = |text: &str, overlap: Duration| NextApiKey {
        id: KeyId::new(now),
        hash: KeyHash::of(text),
        beginning: text[..3].to_owned(),
        at: now,
        overlap,
    };
    let old = key(now, "old");
    store.add(old.clone()).await.unwrap();
    let foreign = "another-owner".parse().unwrap();
    let refused = store.replace(&foreign, old.id, next("new", HOUR)).await;
    assert_eq!(refused.unwrap(), None);
    let new = next("new", HOUR);
    let ends = store.replace(&owner(), old.id, new.clone()).await.unwrap();
    assert_eq!(ends, Some(later(now, HOUR)));
    let kept = store.find(old.hash).await.unwrap().expect("it works still");
    assert_eq!(kept.expires_at, Some(later(now, HOUR)));
    let found = store.find(new.hash).await.unwrap().expect("it is there");
    assert_eq!((&found.key, found.expires_at), (&old.key, None));
    // Again, with a longer overlap: its time does not grow.
    let ends = store
        .replace(&owner(), old.id, next("more", 2 * HOUR))
        .await;
    assert_eq!(ends.unwrap(), Some(later(now, HOUR)));
    let more = store
        .find(KeyHash::of("more"))
        .await
        .unwrap()
        .expect("it is there");
    assert_eq!(
        more.expires_at,
        Some(later(now, HOUR)),
        "it ends as the old one would have"
    );
    // One that has ended has no successor.
    let ends = store
        .replace(&owner(), new.id, next("last", Duration::ZERO))
        .await;
    assert_eq!(ends.unwrap(), Some(now));
    let ends = store.replace(&owner(), new.id, next("never", HOUR)).await;
    assert_eq!(ends.unwrap(), None);
}

//! `posthaste keys`: API keys in the database. On SQLite the server must be stopped meanwhile; while it runs, the API does the
//! same (`/api-keys`).

use std::time::Duration;

use clap::{Args, Subcommand};
use posthaste_composition::{OpenKeys, Settings};
use posthaste_domain::{
    address::EmailAddress,
    clock::{Clock, SystemClock, later},
    id::KeyId,
    key::{ApiKey, KeyHash, KeySecret},
    owner::{Owner, Scope},
    stores::{ApiKeyStore, NewApiKey, NextApiKey, StoredApiKey},
    stream::StreamName,
};
use serde_json::json;

use super::say;
use crate::{dto::api_key::KeyAnswer, failure::Failure, routes::keys::OVERLAP};

/// What is done with keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key; its text is printed once.
    New(New),
    /// List all keys, the newest first.
    List {
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Make a key that permits the same in the place of one, which works beside it for a while.
    Rotate {
        /// The id of the old one.
        id: KeyId,
        /// How long the old one works still: `1h`, `2 days`, `0s` [default: 24h].
        #[arg(long, value_parser = humantime::parse_duration)]
        overlap: Option<Duration>,
    },
    /// Remove a key; every node refuses it within five seconds.
    Revoke {
        /// Its id.
        id: KeyId,
    },
}

/// Which key is made.
#[derive(Debug, Args)]
pub struct New {
    /// Its name, for people.
    name: String,
    /// Whose mail it sends and reads.
    #[arg(long, default_value = "default")]
    owner: Owner,
    /// What it permits: send, read, admin.
    #[arg(long, value_delimiter = ',', default_value = "send")]
    scopes: Vec<Scope>,
    /// A stream that it may use; may be given several times [default: all].
    #[arg(long = "stream", value_name = "STREAM")]
    streams: Vec<StreamName>,
    /// A domain that it may send from; may be given several times [default: all].
    #[arg(long = "from", value_name = "DOMAIN", value_parser = domain)]
    from_domains: Vec<String>,
    /// When it ends: `90 days`, `1h` [default: never].
    #[arg(long, value_name = "AFTER", value_parser = humantime::parse_duration)]
    expires: Option<Duration>,
}

impl Keys {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn run(self, settings: &Settings) -> Result<u8, Failure> {
        let keys = OpenKeys::open(settings).await?;
        let done = self.run_on(keys.store()).await;
        keys.close().await;
        done
    }

    async fn run_on(self, store: &dyn ApiKeyStore) -> Result<u8, Failure> {
        match self {
            Self::New(new) => new.run(store).await?,
            Self::List { json } => list(store.keys(None).await?, json),
            Self::Rotate { id, overlap } => {
                let secret = KeySecret::generate().map_err(Failure::NoRandomness)?;
                let at = SystemClock.now();
                let next = NextApiKey {
                    id: KeyId::new(at),
                    hash: KeyHash::of(secret.reveal()),
                    beginning: secret.beginning().to_owned(),
                    at,
                    overlap: overlap.unwrap_or(OVERLAP),
                };
                let owner = owner_of(store, id).await?;
                let ends = store.replace(&owner, id, next).await?;
                let ends = ends.ok_or(Failure::NoApiKey(id))?;
                say(secret.reveal());
                say(&format!("the old one ends at {}", ends.to_rfc3339()));
            }
            Self::Revoke { id } => {
                let owner = owner_of(store, id).await?;
                if !store.remove(&owner, id).await? {
                    return Err(Failure::NoApiKey(id));
                }
                say("removed");
            }
        }
        Ok(0)
    }
}

impl New {
    async fn run(self, store: &dyn ApiKeyStore) -> Result<(), Failure> {
        let secret = KeySecret::generate().map_err(Failure::NoRandomness)?;
        let now = SystemClock.now();
        let some = |all: Vec<String>| (!all.is_empty()).then(|| all.into_iter().collect());
        let streams = (!self.streams.is_empty()).then(|| self.streams.into_iter().collect());
        let key = NewApiKey {
            id: KeyId::new(now),
            key: ApiKey {
                streams,
                from_domains: some(self.from_domains),
                ..ApiKey::new(&self.name, self.owner, self.scopes)
            },
            hash: KeyHash::of(secret.reveal()),
            beginning: secret.beginning().to_owned(),
            created_at: now,
            expires_at: self.expires.map(|after| later(now, after)),
        };
        store.add(key).await?;
        // Alone on its line: fit for another program.
        say(secret.reveal());
        Ok(())
    }
}

async fn owner_of(store: &dyn ApiKeyStore, id: KeyId) -> Result<Owner, Failure> {
    let mut all = store.keys(None).await?.into_iter();
    let found = all.find(|stored| stored.id == id);
    found
        .map(|stored| stored.key.owner)
        .ok_or(Failure::NoApiKey(id))
}

fn list(keys: Vec<StoredApiKey>, as_json: bool) {
    if as_json {
        let data: Vec<KeyAnswer> = keys.into_iter().map(KeyAnswer::from).collect();
        say(&json!({ "data": data }).to_string());
        return;
    }
    for StoredApiKey {
        id,
        key,
        beginning,
        expires_at,
        last_used_at,
        ..
    } in keys
    {
        let scopes: Vec<_> = key.scopes.iter().map(|scope| scope.word()).collect();
        let at = |at: Option<posthaste_domain::clock::Timestamp>| {
            at.map_or("never".to_owned(), |at| {
                at.format("%Y-%m-%d %H:%M").to_string()
            })
        };
        say(&format!(
            "{id}  {beginning}…  {}  {}  {}  used {}  ends {}",
            key.owner,
            key.name,
            scopes.join(","),
            at(last_used_at),
            at(expires_at),
        ));
    }
}

fn domain(text: &str) -> Result<String, String> {
    let address = format!("postmaster@{text}").parse::<EmailAddress>();
    address
        .map(|address| address.domain().to_ascii_lowercase())
        .map_err(|error| error.to_string())
}

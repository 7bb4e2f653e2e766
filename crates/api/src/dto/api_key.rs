//! API keys in JSON.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};
use posthaste_domain::{
    address::EmailAddress,
    clock::Timestamp,
    id::KeyId,
    key::{ApiKey, KeySecret},
    owner::Scope,
    stores::StoredApiKey,
    stream::StreamName,
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    dto::{
        fields::{Field, Fields},
        message::time,
        problems::Problems,
    },
    error::ApiError,
};

/// Longest name of a key, in characters.
pub const MAX_NAME: usize = 50;
/// Longest time for which a key works beside the one in its place, in seconds: a week.
pub const MAX_OVERLAP: u64 = 7 * 86_400;

/// A key that is asked for.
#[derive(Debug)]
pub struct NewKey {
    /// Whose it is to be, and what it is to permit.
    pub key: ApiKey,
    /// When it is to end.
    pub expires_at: Option<Timestamp>,
}

impl NewKey {
    /// Reads a document whose own problems are already among `problems`. The key is of the same owner as `by`, and permits no
    /// more.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn read(
        document: Value,
        mut problems: Problems,
        by: &ApiKey,
        streams: &[StreamName],
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        let mut fields = Fields::of_document(document, &mut problems);
        let name = key_name(&mut fields, &mut problems);
        let scopes = scopes(&mut fields, by, &mut problems);
        let streams = allowed(&mut fields, "streams", &mut problems, |field, problems| {
            let pointer = field.pointer.clone();
            let stream: StreamName = field.parse(problems)?;
            if !streams.contains(&stream) || !by.may_use(&stream) {
                problems.invalid(pointer, "no such stream, or not one of this key's");
            }
            Some(stream)
        });
        let from_domains = allowed(
            &mut fields,
            "from_domains",
            &mut problems,
            |field, problems| domain(field, by, problems),
        );
        fields.refuse(
            "domain_id",
            "give domains by name, in `from_domains`",
            &mut problems,
        );
        let expires_at = fields.take("expires_at");
        let expires_at = expires_at.and_then(|field| end(field, now, &mut problems));
        fields.finish(&mut problems);
        let (Some(name), Some(scopes), true) = (name, scopes, problems.is_empty()) else {
            return Err(problems.into());
        };
        Ok(Self {
            key: ApiKey {
                // What is not said is what the other one may.
                streams: streams.or_else(|| by.streams.clone()),
                from_domains: from_domains.or_else(|| by.from_domains.clone()),
                ..ApiKey::new(&name, by.owner.clone(), scopes)
            },
            expires_at,
        })
    }
}

/// Reads the name of a key.
pub fn key_name(fields: &mut Fields, problems: &mut Problems) -> Option<String> {
    let field = fields.require("name", problems)?;
    let pointer = field.pointer.clone();
    let name = field.text(problems)?;
    let is_sound =
        (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if !is_sound {
        let detail = format!("names have 1 to {MAX_NAME} characters");
        problems.invalid(pointer, detail);
    }
    is_sound.then_some(name)
}

/// `permission` as published clients send it, or `scopes`.
fn scopes(fields: &mut Fields, by: &ApiKey, problems: &mut Problems) -> Option<BTreeSet<Scope>> {
    let (at, permission) = (fields.pointer("permission"), fields.take("permission"));
    let scopes = fields.take("scopes");
    let asked = match (permission, scopes) {
        (Some(_), Some(scopes)) => {
            problems.invalid(scopes.pointer, "give one of `permission` and `scopes`");
            return None;
        }
        (None, None) => by.scopes.clone(),
        (Some(permission), None) => match permission.text(problems)?.as_str() {
            "full_access" => Scope::ALL.into(),
            "sending_access" => [Scope::Send].into(),
            _ => {
                problems.invalid(at, "is `full_access` or `sending_access`");
                return None;
            }
        },
        (None, Some(scopes)) => {
            let pointer = scopes.pointer.clone();
            let items = scopes.list(problems);
            let read: BTreeSet<Scope> = items
                .into_iter()
                .filter_map(|item| item.parse(problems))
                .collect();
            if read.is_empty() {
                problems.invalid(pointer, "at least one of send, read, admin");
            }
            read
        }
    };
    if !asked.is_subset(&by.scopes) {
        problems.invalid(at, "a key permits no more than the one that makes it");
    }
    Some(asked)
}

/// A list of what the key may use; not empty.
fn allowed<T: Ord>(
    fields: &mut Fields,
    name: &str,
    problems: &mut Problems,
    read: impl Fn(Field, &mut Problems) -> Option<T>,
) -> Option<BTreeSet<T>> {
    let field = fields.take(name)?;
    let pointer = field.pointer.clone();
    let items = field.list(problems);
    if items.is_empty() {
        problems.invalid(pointer, "at least one, or leave it out for all");
    }
    let items = items.into_iter();
    Some(items.filter_map(|item| read(item, problems)).collect())
}

fn domain(field: Field, by: &ApiKey, problems: &mut Problems) -> Option<String> {
    let pointer = field.pointer.clone();
    let text = field.text(problems)?;
    let Ok(address) = format!("postmaster@{text}").parse::<EmailAddress>() else {
        problems.invalid(pointer, "expected a domain like `example.com`");
        return None;
    };
    if !by.may_send_from(&address) {
        problems.invalid(pointer, "not one of this key's");
    }
    Some(address.domain().to_ascii_lowercase())
}

fn end(field: Field, now: Timestamp, problems: &mut Problems) -> Option<Timestamp> {
    let pointer = field.pointer.clone();
    let text = field.text(problems)?;
    let end = DateTime::parse_from_rfc3339(&text).map(|end| end.with_timezone(&Utc));
    match end {
        Ok(end) if end > now => Some(end),
        Ok(_) => {
            problems.invalid(pointer, "the time is in the past");
            None
        }
        Err(_) => {
            problems.invalid(pointer, "expected a time like 2026-12-01T09:00:00Z");
            None
        }
    }
}

/// Reads for how long a key works beside the one in its place.
pub fn overlap(fields: &mut Fields, problems: &mut Problems) -> Option<Duration> {
    let field = fields.take("overlap_seconds")?;
    let seconds = field
        .value
        .as_u64()
        .filter(|seconds| *seconds <= MAX_OVERLAP);
    if seconds.is_none() {
        problems.invalid(field.pointer, format!("is from 0 to {MAX_OVERLAP}"));
    }
    seconds.map(Duration::from_secs)
}

/// A new key, with its text.
#[derive(Debug, Serialize)]
pub struct NewKeyAnswer {
    object: &'static str,
    id: String,
    token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_expires_at: Option<String>,
}

impl NewKeyAnswer {
    /// This key.
    #[must_use]
    pub fn new(id: KeyId, secret: &KeySecret) -> Self {
        Self {
            object: "api_key",
            id: id.to_string(),
            token: secret.reveal().to_owned(),
            previous_expires_at: None,
        }
    }

    /// In the place of one that ends then.
    #[must_use]
    pub fn replacing(self, ends: Timestamp) -> Self {
        let previous_expires_at = Some(time(ends));
        Self {
            previous_expires_at,
            ..self
        }
    }
}

/// A key as its owner sees it.
#[derive(Debug, Serialize)]
pub struct KeyAnswer {
    object: &'static str,
    id: String,
    name: String,
    beginning: String,
    scopes: Vec<&'static str>,
    streams: Option<Vec<String>>,
    from_domains: Option<BTreeSet<String>>,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
}

impl From<StoredApiKey> for KeyAnswer {
    fn from(stored: StoredApiKey) -> Self {
        let key = stored.key;
        let streams = key.streams.map(|streams| {
            let names = streams.iter().map(ToString::to_string);
            names.collect()
        });
        Self {
            object: "api_key",
            id: stored.id.to_string(),
            name: key.name,
            beginning: stored.beginning,
            scopes: key.scopes.iter().map(|scope| scope.word()).collect(),
            streams,
            from_domains: key.from_domains,
            created_at: time(stored.created_at),
            expires_at: stored.expires_at.map(time),
            last_used_at: stored.last_used_at.map(time),
        }
    }
}

/// A key that has another name.
#[derive(Debug, Serialize)]
pub struct KeyRenamed {
    object: &'static str,
    id: String,
}

impl KeyRenamed {
    /// This one.
    #[must_use]
    pub fn of(id: KeyId) -> Self {
        Self {
            object: "api_key",
            id: id.to_string(),
        }
    }
}

/// A key that is gone.
#[derive(Debug, Serialize)]
pub struct KeyRemoved {
    object: &'static str,
    id: String,
    deleted: bool,
}

impl KeyRemoved {
    /// This one.
    #[must_use]
    pub fn of(id: KeyId) -> Self {
        Self {
            object: "api_key",
            id: id.to_string(),
            deleted: true,
        }
    }
}

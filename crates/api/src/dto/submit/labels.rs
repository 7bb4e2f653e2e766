//! What a mail carries beside its content, in JSON: headers, tags, metadata.

use std::collections::{BTreeMap, BTreeSet};

use posthaste_domain::message::{ExtraHeader, Tag};

use crate::dto::{
    fields::{Field, Fields},
    problems::{Pointer, Problems},
};

/// Most headers, and most tags, of one message.
pub const MAX_LABELS: usize = 50;
/// Most entries of metadata.
pub const MAX_METADATA: usize = 20;
/// Longest name of an entry of metadata, in characters.
pub const MAX_METADATA_NAME: usize = 64;
/// Longest value of an entry of metadata, in characters.
pub const MAX_METADATA_VALUE: usize = 512;

/// Reads the headers that the submitter adds.
pub(super) fn read_headers(fields: &mut Fields, problems: &mut Problems) -> Vec<ExtraHeader> {
    let Some(field) = fields.take("headers") else {
        return Vec::new();
    };
    let at = field.pointer.clone();
    let entries = field.entries(problems);
    bounded(entries.len(), MAX_LABELS, "headers", at, problems);
    // Names of headers do not tell upper from lower case (RFC 5322 section 1.2.2).
    let mut seen = BTreeSet::new();
    let read = entries.into_iter().filter_map(|(name, field)| {
        let pointer = field.pointer.clone();
        if !seen.insert(name.to_ascii_lowercase()) {
            problems.invalid(pointer, "this header is named twice");
            return None;
        }
        let header = ExtraHeader::new(&name, &field.text(problems)?);
        header
            .map_err(|error| problems.invalid(pointer, error.to_string()))
            .ok()
    });
    read.collect()
}

/// Reads the labels for searches.
pub(super) fn read_tags(fields: &mut Fields, problems: &mut Problems) -> Vec<Tag> {
    let Some(field) = fields.take("tags") else {
        return Vec::new();
    };
    let at = field.pointer.clone();
    let items = field.list(problems);
    bounded(items.len(), MAX_LABELS, "tags", at, problems);
    items
        .into_iter()
        .filter_map(|item| tag(item, problems))
        .collect()
}

fn tag(item: Field, problems: &mut Problems) -> Option<Tag> {
    let pointer = item.pointer.clone();
    let mut fields = item.object(problems)?;
    let name = fields
        .require("name", problems)
        .and_then(|name| name.text(problems));
    let value = fields
        .require("value", problems)
        .and_then(|value| value.text(problems));
    fields.finish(problems);
    Tag::new(&name?, &value?)
        .map_err(|error| problems.invalid(pointer, error.to_string()))
        .ok()
}

/// Reads the data that is kept beside the mail.
pub(super) fn read_metadata(
    fields: &mut Fields,
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    let Some(field) = fields.take("metadata") else {
        return BTreeMap::new();
    };
    let at = field.pointer.clone();
    let entries = field.entries(problems);
    bounded(entries.len(), MAX_METADATA, "entries", at, problems);
    let read = entries.into_iter().filter_map(|(name, field)| {
        let pointer = field.pointer.clone();
        let value = field.text(problems)?;
        let fits = (1..=MAX_METADATA_NAME).contains(&name.chars().count())
            && value.chars().count() <= MAX_METADATA_VALUE;
        if !fits {
            let detail = format!(
                "names have 1 to {MAX_METADATA_NAME} characters, values at most {MAX_METADATA_VALUE}"
            );
            problems.invalid(pointer, detail);
        }
        fits.then_some((name, value))
    });
    read.collect()
}

fn bounded(count: usize, most: usize, what: &str, at: Pointer, problems: &mut Problems) {
    if count > most {
        problems.invalid(at, format!("at most {most} {what}"));
    }
}

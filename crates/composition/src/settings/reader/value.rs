//! What can be told of a single value.

use std::{collections::BTreeMap, fmt::Display, time::Duration};

use config::{Value, ValueKind};

/// Where a value was given; for a table, where its first value was.
pub(super) fn origin(value: &Value) -> &str {
    match (value.origin(), &value.kind) {
        (Some(origin), _) => origin,
        (None, ValueKind::Table(table)) => table.values().next().map_or("", origin),
        (None, _) => "",
    }
}

/// A text, a number or a flag as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    let text = |value: &dyn Display| Some(value.to_string());
    match &value.kind {
        ValueKind::String(value) => Some(value.clone()),
        ValueKind::I64(value) => text(value),
        ValueKind::Boolean(value) => text(value),
        _ => None,
    }
}

/// A duration above zero.
pub(in crate::settings) fn positive_duration(text: &str) -> Option<Duration> {
    let duration = humantime::parse_duration(text).ok();
    duration.filter(|duration| !duration.is_zero())
}

/// A size in bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let size = text.parse::<bytesize::ByteSize>().ok();
    size.map(|size| size.as_u64())
}

/// The known key that is fewest letters away, if it is near enough to be meant.
pub(super) fn nearest<'k>(key: &str, known: &'k BTreeMap<String, String>) -> Option<&'k str> {
    let near = known
        .keys()
        .map(|candidate| (strsim::damerau_levenshtein(key, candidate), candidate));
    near.filter(|(distance, _)| *distance <= 1 + key.len() / 3)
        .min()
        .map(|(_, candidate)| candidate.as_str())
}

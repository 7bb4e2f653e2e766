//! What can be told of a single value.

use std::{collections::BTreeMap, fmt::Display};

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

/// The known key that is fewest letters away, if it is near enough to be meant.
pub(super) fn nearest<'k>(key: &str, known: &'k BTreeMap<String, String>) -> Option<&'k str> {
    let near = known
        .keys()
        .map(|candidate| (strsim::damerau_levenshtein(key, candidate), candidate));
    near.filter(|(distance, _)| *distance <= 1 + key.len() / 3)
        .min()
        .map(|(_, candidate)| candidate.as_str())
}

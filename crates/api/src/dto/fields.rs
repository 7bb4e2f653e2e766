//! Reading an object member by member: kinds are checked, what is left over at the end is unknown, and every problem is
//! collected with its pointer. A member that is `null` counts as absent.

use std::{fmt::Display, str::FromStr};

use serde_json::{Map, Value};

use crate::dto::problems::{Pointer, Problems};

/// A value and where it stands. It is never `null`, but for items of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Where.
    pub pointer: Pointer,
    /// What.
    pub value: Value,
}

impl Field {
    /// The value as text.
    pub fn text(self, problems: &mut Problems) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => {
                problems.invalid(self.pointer, "expected a string");
                None
            }
        }
    }

    /// The value as text, parsed.
    pub fn parse<T: FromStr<Err: Display>>(self, problems: &mut Problems) -> Option<T> {
        let pointer = self.pointer.clone();
        let parsed = self.text(problems)?.parse();
        parsed
            .map_err(|error: T::Err| problems.invalid(pointer, error.to_string()))
            .ok()
    }

    /// The items of a list.
    pub fn list(self, problems: &mut Problems) -> Vec<Self> {
        let Value::Array(items) = self.value else {
            problems.invalid(self.pointer, "expected a list");
            return Vec::new();
        };
        let items = items.into_iter().enumerate();
        items
            .map(|(index, value)| Self {
                pointer: self.pointer.item(index),
                value,
            })
            .collect()
    }

    /// The members of an object whose names are the caller's own.
    pub fn entries(self, problems: &mut Problems) -> Vec<(String, Self)> {
        let Some(Fields { pointer, members }) = self.object(problems) else {
            return Vec::new();
        };
        let entry = |(name, value): (String, Value)| {
            let pointer = pointer.member(&name);
            (name, Self { pointer, value })
        };
        members.into_iter().map(entry).collect()
    }

    /// The members of an object whose names are ours.
    pub fn object(self, problems: &mut Problems) -> Option<Fields> {
        let Value::Object(members) = self.value else {
            problems.invalid(self.pointer, "expected an object");
            return None;
        };
        Some(Fields {
            pointer: self.pointer,
            members,
        })
    }
}

/// The members of an object that have not been read yet.
#[derive(Debug)]
pub struct Fields {
    pointer: Pointer,
    members: Map<String, Value>,
}

impl Fields {
    /// The members of a whole document; none if it is not an object.
    #[must_use]
    pub fn of_document(document: Value, problems: &mut Problems) -> Self {
        let field = Field {
            pointer: Pointer::root(),
            value: document,
        };
        field.object(problems).unwrap_or_else(|| Self {
            pointer: Pointer::root(),
            members: Map::new(),
        })
    }

    /// Where a member stands, or would.
    #[must_use]
    pub fn pointer(&self, name: &str) -> Pointer {
        self.pointer.member(name)
    }

    /// A member, if it is there.
    pub fn take(&mut self, name: &str) -> Option<Field> {
        let value = self.members.remove(name).filter(|value| !value.is_null())?;
        Some(Field {
            pointer: self.pointer(name),
            value,
        })
    }

    /// A member that must be there.
    pub fn require(&mut self, name: &str, problems: &mut Problems) -> Option<Field> {
        let field = self.take(name);
        if field.is_none() {
            problems.missing(self.pointer(name), "required");
        }
        field
    }

    /// A member that is known and may only be absent; `true` if it is there.
    pub fn refuse(&mut self, name: &str, detail: &str, problems: &mut Problems) -> bool {
        let field = self.take(name);
        let is_there = field.is_some();
        if let Some(field) = field {
            problems.invalid(field.pointer, detail);
        }
        is_there
    }

    /// Whatever has not been read is unknown.
    pub fn finish(self, problems: &mut Problems) {
        for name in self.members.keys() {
            problems.invalid(self.pointer(name), "unknown member");
        }
    }
}

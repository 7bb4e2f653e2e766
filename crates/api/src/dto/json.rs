//! A strict reader of JSON.
//!
//! It refuses what the store or a second reader could take differently: members given twice and U+0000 anywhere, each
//! named by a pointer; and it bounds the work: depth and number of values.

mod files;

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::{
    dto::problems::{Pointer, Problems},
    error::{ApiError, ErrorKind},
};

/// Deepest nesting of lists and objects.
pub const MAX_DEPTH: usize = 64;
/// Most values in one body, however small: each takes far more memory than its text. It bounds the data of templates too.
pub const MAX_VALUES: usize = 10_000;

/// A body that is not JSON, or is JSON beyond the bounds.
#[derive(Debug, thiserror::Error)]
pub enum NotReadable {
    /// Not JSON, or not UTF-8.
    #[error("the body is not JSON: {0}")]
    Syntax(serde_json::Error),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("the body is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// More than [`MAX_VALUES`] values.
    #[error("the body has more than {MAX_VALUES} values")]
    TooMany,
}

impl From<NotReadable> for ApiError {
    fn from(error: NotReadable) -> Self {
        let kind = match error {
            NotReadable::Syntax(_) | NotReadable::TooDeep => ErrorKind::Unreadable,
            NotReadable::TooMany => ErrorKind::PayloadTooLarge,
        };
        Self::new(kind, error.to_string())
    }
}

/// What files hold, which is no text. Where it stood, the document holds a mark that no document can hold by itself.
#[derive(Debug, Default)]
pub struct Files(Vec<Option<Vec<u8>>>);

impl Files {
    fn put(&mut self, bytes: Vec<u8>) -> Value {
        self.0.push(Some(bytes));
        Value::String(format!("\0{}", self.0.len() - 1))
    }

    /// What is marked by a text; nothing if it is no mark.
    pub fn take(&mut self, mark: &str) -> Option<Vec<u8>> {
        let number: usize = mark.strip_prefix('\0')?.parse().ok()?;
        self.0.get_mut(number)?.take()
    }
}

/// A document, what is wrong with it, and what its files hold.
pub type Read = (Value, Problems, Files);

/// Reads one document without files.
///
/// # Errors
/// As [`read_with_files`].
pub fn read(bytes: &[u8]) -> Result<(Value, Problems), NotReadable> {
    read_with_files(bytes).map(|(value, problems, _)| (value, problems))
}

/// Reads one document. Members given twice keep their first value, and are among the problems.
///
/// # Errors
/// [`NotReadable`] if there is no document to speak of.
pub fn read_with_files(bytes: &[u8]) -> Result<Read, NotReadable> {
    let state = RefCell::new(State::default());
    let here = Place {
        above: None,
        step: Step::Root,
        depth: 0,
        state: &state,
    };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = here
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    let state = state.into_inner();
    match read {
        Ok(value) => Ok((value, state.problems, state.files)),
        Err(error) => Err(state.stopped.unwrap_or(NotReadable::Syntax(error))),
    }
}

#[derive(Default)]
struct State {
    values: usize,
    problems: Problems,
    files: Files,
    stopped: Option<NotReadable>,
}

/// Where the reader stands. The way to it is only written out when there is something to say about it.
#[derive(Clone, Copy)]
struct Place<'a> {
    above: Option<&'a Place<'a>>,
    step: Step<'a>,
    depth: usize,
    state: &'a RefCell<State>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Member(&'a str),
    Item(usize),
}

impl<'a> Place<'a> {
    fn below(&'a self, step: Step<'a>) -> Self {
        Self {
            above: Some(self),
            step,
            ..*self
        }
    }

    fn pointer(&self) -> Pointer {
        let above = self.above.map(Place::pointer).unwrap_or_default();
        match self.step {
            Step::Root => above,
            Step::Member(name) => above.member(name),
            Step::Item(index) => above.item(index),
        }
    }

    fn problem(&self, detail: &str) {
        self.state
            .borrow_mut()
            .problems
            .invalid(self.pointer(), detail);
    }

    fn stop<E: serde::de::Error>(&self, why: NotReadable) -> E {
        let error = E::custom(&why);
        self.state.borrow_mut().stopped = Some(why);
        error
    }

    fn check_text(&self, text: &str) {
        if text.contains('\0') {
            self.problem("the character U+0000 is not allowed");
        }
    }

    /// One level deeper.
    fn entered<E: serde::de::Error>(mut self) -> Result<Self, E> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.stop(NotReadable::TooDeep));
        }
        Ok(self)
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        let values = {
            let mut state = self.state.borrow_mut();
            state.values += 1;
            state.values
        };
        if values > MAX_VALUES {
            return Err(self.stop(NotReadable::TooMany));
        }
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        if self.is_file() {
            return Ok(self.base64(text));
        }
        self.check_text(text);
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let here = self.entered()?;
        if here.is_file() {
            return here.octets(list);
        }
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(here.below(Step::Item(items.len())))? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let here = self.entered()?;
        let mut members = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let there = here.below(Step::Member(&name));
            there.check_text(&name);
            let value = object.next_value_seed(there)?;
            if members.contains_key(&name) {
                there.problem("given twice");
            } else {
                members.insert(name, value);
            }
        }
        let object = Value::Object(members);
        Ok(if here.is_file() {
            files::without_frame(object)
        } else {
            object
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(text: &str) -> Vec<String> {
        let (_, problems) = read(text.as_bytes()).unwrap();
        problems
            .into_shown()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn every_kind_of_value_survives() {
        let text = r#"{"a":[null,true,-1,18446744073709551615,1.5,"é\u00e9"],"b":{}}"#;
        let (value, problems) = read(text.as_bytes()).unwrap();
        assert_eq!(value, serde_json::from_str::<Value>(text).unwrap());
        assert!(problems.is_empty());
    }

    #[test]
    fn members_given_twice_are_named_at_any_depth() {
        assert_eq!(
            pointers(r#"{"a":1,"b":[{"c":1,"c":2}],"a":2,"a":3}"#),
            [
                "`b[0].c`: given twice",
                "`a`: given twice",
                "`a`: given twice"
            ]
        );
    }

    /// I40.
    #[test]
    fn a_null_character_is_named_in_values_and_names() {
        assert_eq!(pointers(r#"{"a":"x\u0000","b\u0000":1}"#).len(), 2);
    }

    #[test]
    fn depth_is_bounded_exactly() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(matches!(
            read(nested(MAX_DEPTH + 1).as_bytes()),
            Err(NotReadable::TooDeep)
        ));
        assert!(matches!(
            read("[".repeat(100_000).as_bytes()),
            Err(NotReadable::TooDeep)
        ));
    }

    #[test]
    fn the_number_of_values_is_bounded_exactly() {
        let list = |items: usize| format!("[{}0]", "0,".repeat(items - 1));
        assert!(read(list(MAX_VALUES - 1).as_bytes()).is_ok());
        assert!(matches!(
            read(list(MAX_VALUES).as_bytes()),
            Err(NotReadable::TooMany)
        ));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            &b""[..],
            b"{",
            b"{}x",
            b"{\"a\":}",
            b"\"\xff\"",
            b"{'a':1}",
            b"[1,]",
            b"NaN",
        ] {
            assert!(
                matches!(read(text), Err(NotReadable::Syntax(_))),
                "{text:?}"
            );
        }
    }
}

//! Reads one table of the merged configuration, key by key. Problems are collected, not returned: reading goes on with a
//! stand-in, so that all problems are told at once, and whoever reads checks at the end whether there were any.

mod secret;
mod value;

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use config::{Map, Value, ValueKind};
use posthaste_queue::Rate;

pub(super) use self::value::positive_duration;
use self::value::{nearest, origin, scalar, size};
use super::{
    notes::{Notes, Shown},
    problem::{Code, Problem},
};

/// One table.
pub(super) struct Reader<'n> {
    section: String,
    values: BTreeMap<String, Value>,
    /// Keys that were asked for, with the places of those that were given.
    known: BTreeMap<String, String>,
    /// Where the table was given.
    given_at: String,
    notes: &'n Notes,
}

impl<'n> Reader<'n> {
    pub(super) fn new(section: &str, table: Map<String, Value>, notes: &'n Notes) -> Self {
        Self {
            section: section.to_owned(),
            values: table.into_iter().collect(),
            known: BTreeMap::new(),
            given_at: String::new(),
            notes,
        }
    }

    /// A table inside this one; empty if it is not there.
    pub(super) fn table(&mut self, key: &str) -> Reader<'n> {
        let name = self.name(key);
        let table = match self.take(key) {
            None => Map::new(),
            Some(Value {
                kind: ValueKind::Table(table),
                ..
            }) => table,
            Some(value) => {
                // Not the value: it may be a key or a password that was to stand one level deeper.
                self.expected(key, &value, "", "a table");
                Map::new()
            }
        };
        let given_at = self.place(key);
        Self {
            given_at,
            ..Self::new(&name, table, self.notes)
        }
    }

    /// The tables inside this one, by name.
    pub(super) fn tables(mut self) -> Vec<(String, Reader<'n>)> {
        let names: Vec<String> = self.values.keys().cloned().collect();
        names
            .into_iter()
            .map(|name| (name.clone(), self.table(&name)))
            .collect()
    }

    /// The same with what it lacks taken from `other`.
    pub(super) fn or(mut self, other: &BTreeMap<String, Value>) -> Self {
        for (key, value) in other {
            self.values
                .entry(key.clone())
                .or_insert_with(|| value.clone());
        }
        self
    }

    pub(super) fn raw(&self) -> BTreeMap<String, Value> {
        self.values.clone()
    }

    /// Where a key was given.
    pub(super) fn place(&self, key: &str) -> String {
        let taken = self.known.get(key).cloned();
        taken.unwrap_or_else(|| {
            self.values
                .get(key)
                .map(origin)
                .unwrap_or_default()
                .to_owned()
        })
    }

    /// Where the table itself was given.
    pub(super) fn given_at(&self) -> &str {
        &self.given_at
    }

    pub(super) fn text(&mut self, key: &str) -> String {
        self.parsed(key, "a text", String::new())
    }

    /// A text that need not be given.
    pub(super) fn given(&mut self, key: &str) -> Option<String> {
        if !self.values.contains_key(key) {
            self.known.insert(key.to_owned(), String::new());
            return None;
        }
        Some(self.text(key)).filter(|text| !text.is_empty())
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.parsed(key, "true or false", false)
    }

    pub(super) fn integer<T: TryFrom<i64> + FromStr + Copy>(
        &mut self,
        key: &str,
        expected: &str,
        stand_in: T,
        fits: impl Fn(&T) -> bool,
    ) -> T {
        self.read(key, expected, stand_in, |text| {
            text.parse().ok().filter(|number| fits(number))
        })
    }

    /// A duration for which zero means something.
    pub(super) fn duration(&mut self, key: &str) -> Duration {
        self.read(
            key,
            "a duration such as \"30 s\" or \"15 min\"",
            Duration::ZERO,
            |text| humantime::parse_duration(text).ok(),
        )
    }

    /// A duration with which nothing would work if it were zero.
    pub(super) fn positive_duration(&mut self, key: &str) -> Duration {
        self.read(
            key,
            "a duration above zero such as \"30 s\" or \"15 min\"",
            Duration::ZERO,
            positive_duration,
        )
    }

    /// A size for which zero means something.
    pub(super) fn size(&mut self, key: &str) -> u64 {
        self.read(key, "a size such as \"25 MiB\"", 0, size)
    }

    /// A rate, or none.
    pub(super) fn rate(&mut self, key: &str) -> Option<Rate> {
        let expected = "a rate such as \"14/s\", \"100/min\" or \"5000/h\", or nothing";
        let sound = |text: &str| text.is_empty() || text.parse::<Rate>().is_ok();
        self.checked(key, expected, sound).parse().ok()
    }

    /// A size with which nothing would work if it were zero.
    pub(super) fn positive_size(&mut self, key: &str) -> u64 {
        self.read(key, "a size above zero such as \"25 MiB\"", 0, |text| {
            size(text).filter(|size| *size > 0)
        })
    }

    /// A text that must pass a check.
    pub(super) fn checked(
        &mut self,
        key: &str,
        expected: &str,
        check: impl Fn(&str) -> bool,
    ) -> String {
        self.read(key, expected, String::new(), |text| {
            Some(text.to_owned()).filter(|text| check(text))
        })
    }

    pub(super) fn parsed<T: FromStr>(&mut self, key: &str, expected: &str, stand_in: T) -> T {
        self.read(key, expected, stand_in, |text| text.parse().ok())
    }

    /// A list; in the environment its items stand between commas.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.take(key) else {
            self.missing(key);
            return Vec::new();
        };
        let items: Vec<String> = match &value.kind {
            ValueKind::Array(items) => items.iter().filter_map(scalar).collect(),
            ValueKind::String(text) => text
                .split(',')
                .map(|item| item.trim().to_owned())
                .filter(|item| !item.is_empty())
                .collect(),
            _ => {
                self.bad(key, &value, expected);
                return Vec::new();
            }
        };
        self.show(key, &items.join(", "), &value);
        let parsed: Option<Vec<T>> = items.iter().map(|item| parse(item)).collect();
        parsed.unwrap_or_else(|| {
            self.bad(key, &value, expected);
            Vec::new()
        })
    }

    /// A list that need not be given.
    pub(super) fn optional_list<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        if self.values.contains_key(key) {
            return Some(self.list(key, expected, parse));
        }
        self.known.insert(key.to_owned(), String::new());
        None
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> T {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let find = |text: &str| {
            choices
                .iter()
                .find(|(word, _)| *word == text)
                .map(|(_, choice)| *choice)
        };
        self.read(
            key,
            &format!("one of {}", words.join(", ")),
            choices[0].1,
            find,
        )
    }

    /// Reads a copy of this table for its problems alone, but for those that `unimportant` picks.
    pub(super) fn apart<T>(
        &self,
        read: impl FnOnce(Reader<'_>) -> T,
        unimportant: impl Fn(&Problem) -> bool,
    ) -> T {
        let notes = Notes::default();
        let table = self.values.clone().into_iter().collect();
        let value = read(Reader::new(&self.section, table, &notes));
        let important = notes
            .problems
            .into_inner()
            .into_iter()
            .filter(|problem| !unimportant(problem));
        important.for_each(|problem| self.notes.problem(problem));
        value
    }

    /// The table itself is wrong.
    pub(super) fn refuse(&self, why: &str) {
        let message = format!("`{}`: {why}", self.section);
        self.notes
            .problem(Problem::new(Code::BadValue, self.given_at(), message));
    }

    /// A value that is readable and still wrong.
    pub(super) fn conflict(&self, place: &str, key: &str, why: &str) {
        let name = self.name(key);
        let problem = Problem::new(Code::BadValue, place, format!("`{name}`: {why}"));
        self.notes.flaw(name, problem);
    }

    /// Whether a key was read without a problem.
    pub(super) fn sound(&self, key: &str) -> bool {
        self.notes.sound(&self.name(key))
    }

    /// Whatever was not asked for is unknown.
    pub(super) fn finish(self) {
        for (key, value) in &self.values {
            let place = origin(value);
            let hint = nearest(key, &self.known)
                .map_or_else(String::new, |key| format!(", did you mean `{key}`?"));
            let problem = Problem::new(
                Code::UnknownKey,
                place,
                format!("unknown key `{}`{hint}", self.name(key)),
            );
            self.notes.problem(problem);
        }
    }

    fn read<T>(
        &mut self,
        key: &str,
        expected: &str,
        stand_in: T,
        parse: impl Fn(&str) -> Option<T>,
    ) -> T {
        let Some(value) = self.take(key) else {
            self.missing(key);
            return stand_in;
        };
        let Some(text) = scalar(&value) else {
            self.bad(key, &value, expected);
            return stand_in;
        };
        self.show(key, &text, &value);
        parse(text.trim()).unwrap_or_else(|| {
            self.bad(key, &value, expected);
            stand_in
        })
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        let value = self.values.remove(key);
        let place = value.as_ref().map(origin).unwrap_or_default();
        self.known.insert(key.to_owned(), place.to_owned());
        value
    }

    fn name(&self, key: &str) -> String {
        if self.section.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.section)
        }
    }

    fn show(&self, key: &str, text: &str, value: &Value) {
        let origin = value.origin().unwrap_or_default().to_owned();
        self.notes.shown.borrow_mut().push(Shown {
            key: self.name(key),
            value: text.to_owned(),
            origin,
        });
    }

    fn missing(&self, key: &str) {
        let name = self.name(key);
        let problem = Problem::new(Code::Missing, "", format!("`{name}` must be given"));
        self.notes.flaw(name, problem);
    }

    fn bad(&self, key: &str, value: &Value, expected: &str) {
        let shown = match &value.kind {
            ValueKind::Array(items) => {
                let items: Vec<String> = items.iter().filter_map(scalar).collect();
                format!(" = {items:?}")
            }
            _ => scalar(value).map_or_else(String::new, |text| format!(" = {text:?}")),
        };
        self.expected(key, value, &shown, expected);
    }

    fn expected(&self, key: &str, value: &Value, shown: &str, expected: &str) {
        let name = self.name(key);
        let message = format!("`{name}`{shown}: expected {expected}");
        let problem = Problem::new(Code::BadValue, value.origin().unwrap_or_default(), message);
        self.notes.flaw(name, problem);
    }
}

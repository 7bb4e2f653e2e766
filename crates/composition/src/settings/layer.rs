//! The layers of a configuration as sources for the `config` crate, each value with the place it comes from.
//!
//! Files are parsed here and not by the `config` crate, which stops at its first error and knows no lines.

use std::collections::BTreeMap;

use config::{ConfigError, Map, Source, Value, ValueKind};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::problem::{Code, Problem};

/// The prefix of Posthaste's own variables.
pub(super) const PREFIX: &str = "POSTHASTE__";
/// Variables that other programs know too, and what they stand for here.
const BARE: [(&str, &str); 4] = [
    ("DATABASE_URL", "database.url"),
    ("DATABASE_URL_FILE", "database.url_file"),
    ("PORT", "http.port"),
    ("RUST_LOG", "log.filter"),
];

/// One layer.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

impl Layer {
    /// The values of a TOML file called `name`.
    pub(super) fn toml(name: &str, text: &str) -> Result<Self, Problem> {
        let lines = Lines { name, text };
        let table = DeTable::parse(text).map_err(|error| {
            let place = lines.place(error.span().map_or(0, |span| span.start));
            Problem::new(Code::Unreadable, &place, error.message().trim())
        })?;
        Ok(Self(lines.table(table.get_ref())))
    }

    /// The values of the environment. Texts stay texts: the password `00123` is no number.
    pub(super) fn environment(variables: &BTreeMap<String, String>) -> Self {
        let mut layer = Self::default();
        for (variable, key) in BARE {
            if let Some(text) = variables.get(variable) {
                layer.put(key, variable, text);
            }
        }
        for (variable, text) in variables {
            if let Some(path) = variable.strip_prefix(PREFIX) {
                layer.put(
                    &path.to_ascii_lowercase().replace("__", "."),
                    variable,
                    text,
                );
            }
        }
        layer
    }

    /// One value from the command line.
    pub(super) fn flag(key: &str, flag: &str, text: &str) -> Self {
        let mut layer = Self::default();
        layer.put(key, flag, text);
        layer
    }

    fn put(&mut self, key: &str, origin: &str, text: &str) {
        let origin = origin.to_owned();
        let mut parts: Vec<&str> = key.split('.').collect();
        let last = parts.pop().unwrap_or_default();
        let mut table = &mut self.0;
        for part in parts {
            let inner = table
                .entry(part.to_owned())
                .or_insert_with(|| Value::new(Some(&origin), Map::<String, Value>::new()));
            if !matches!(inner.kind, ValueKind::Table(_)) {
                inner.kind = ValueKind::Table(Map::new());
            }
            let ValueKind::Table(inner) = &mut inner.kind else {
                return;
            };
            table = inner;
        }
        table.insert(last.to_owned(), Value::new(Some(&origin), text.to_owned()));
    }
}

/// A file, to turn offsets into lines.
struct Lines<'a> {
    name: &'a str,
    text: &'a str,
}

impl Lines<'_> {
    fn place(&self, offset: usize) -> String {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!("{}:{line}:{column}", self.name)
    }

    fn table(&self, table: &DeTable<'_>) -> Map<String, Value> {
        let entry = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
            let origin = self.place(key.span().start);
            (
                key.get_ref().to_string(),
                self.value(&origin, value.get_ref()),
            )
        };
        table.iter().map(entry).collect()
    }

    fn value(&self, origin: &str, value: &DeValue<'_>) -> Value {
        let origin_text = origin.to_owned();
        let kind = match value {
            DeValue::String(text) => ValueKind::String(text.to_string()),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(&number.as_str().replace('_', ""), number.radix());
                parsed.map_or_else(
                    |_| ValueKind::String(number.as_str().to_owned()),
                    ValueKind::I64,
                )
            }
            DeValue::Float(number) => ValueKind::String(number.as_str().to_owned()),
            DeValue::Boolean(flag) => ValueKind::Boolean(*flag),
            DeValue::Datetime(at) => ValueKind::String(at.to_string()),
            DeValue::Array(items) => ValueKind::Array(
                items
                    .iter()
                    .map(|item| self.value(origin, item.get_ref()))
                    .collect(),
            ),
            DeValue::Table(table) => ValueKind::Table(self.table(table)),
        };
        Value::new(Some(&origin_text), kind)
    }
}

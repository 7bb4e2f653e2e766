//! What stands behind the question mark of a list of messages -> a filter and a page.
//!
//! A name that is not known is refused: a mistyped filter would show everything.

use std::{collections::BTreeMap, fmt::Display, str::FromStr};

use chrono::{DateTime, Utc};
use posthaste_domain::{
    clock::Timestamp,
    delivery::MessageStatus,
    message::Tag,
    stores::{MessageFilter, PageAt},
};

use crate::dto::{
    message::status_word,
    problems::{Pointer, Problems},
};

/// Messages of a page where nothing is said.
pub const USUAL_LIMIT: usize = 20;
/// Most messages of a page.
pub const MAX_LIMIT: usize = 100;

/// A page that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which messages.
    pub filter: MessageFilter,
    /// From where on.
    pub at: PageAt,
    /// How many.
    pub limit: usize,
}

struct Parameters {
    given: BTreeMap<String, String>,
    problems: Problems,
}

impl Wanted {
    /// Reads the parameters of a query.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn read(query: Vec<(String, String)>) -> Result<Self, Problems> {
        let mut parameters = Parameters {
            given: BTreeMap::new(),
            problems: Problems::default(),
        };
        for (name, value) in query {
            if parameters.given.contains_key(&name) {
                parameters.wrong(&name, "given twice");
            }
            parameters.given.insert(name, value);
        }
        let filter = MessageFilter {
            to: parameters.parsed("to"),
            from: parameters.parsed("from"),
            subject: parameters.given.remove("subject"),
            tag: parameters.read("tag", tag),
            status: parameters.read("status", status),
            stream: parameters.parsed("stream"),
            template: parameters.parsed("template"),
            created_from: parameters.read("created_after", instant),
            created_before: parameters.read("created_before", instant),
            idempotency_key: parameters.parsed("idempotency_key"),
        };
        let at = parameters.place();
        let limit = parameters.read("limit", |text| {
            let limit = text.parse().ok();
            limit
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or("is from 1 to 100")
        });
        let unknown: Vec<_> = parameters.given.keys().cloned().collect();
        for name in unknown {
            parameters.wrong(&name, "unknown parameter");
        }
        if parameters.problems.is_empty() {
            Ok(Self {
                filter,
                at,
                limit: limit.unwrap_or(USUAL_LIMIT),
            })
        } else {
            Err(parameters.problems)
        }
    }
}

impl Parameters {
    fn wrong(&mut self, name: &str, detail: impl Into<String>) {
        self.problems.invalid(Pointer::root().member(name), detail);
    }

    fn read<T, E: Display>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.given.remove(name)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(name, error.to_string());
                None
            }
        }
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        self.read(name, str::parse)
    }

    fn place(&mut self) -> PageAt {
        let after = self.read("after", |text| {
            text.parse().map_err(|_| "is the id of a mail")
        });
        let before = self.read("before", |text| {
            text.parse().map_err(|_| "is the id of a mail")
        });
        match (after, before) {
            (Some(_), Some(_)) => {
                self.wrong("before", "give one of `after` and `before`");
                PageAt::Newest
            }
            (Some(after), None) => PageAt::After(after),
            (None, Some(before)) => PageAt::Before(before),
            (None, None) => PageAt::Newest,
        }
    }
}

fn tag(text: &str) -> Result<Tag, String> {
    let (name, value) = text.split_once(':').ok_or("is like `name:value`")?;
    Tag::new(name, value).map_err(|error| error.to_string())
}

fn status(text: &str) -> Result<MessageStatus, String> {
    let mut all = MessageStatus::ALL.into_iter();
    all.find(|status| status_word(*status) == text)
        .ok_or_else(|| {
            let words = MessageStatus::ALL.map(status_word);
            format!("is one of {}", words.join(", "))
        })
}

fn instant(text: &str) -> Result<Timestamp, &'static str> {
    // A plus that was not encoded arrives as a blank.
    DateTime::parse_from_rfc3339(&text.replace(' ', "+"))
        .map(|time| time.with_timezone(&Utc))
        .map_err(|_| "is a time like 2026-12-01T09:00:00Z, with Z or an offset")
}

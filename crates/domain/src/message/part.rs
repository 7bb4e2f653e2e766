//! The parts of a message that reach a header or a body. Each header value is a type of its own: what was parsed here
//! cannot end a header line.

use std::{fmt, str::FromStr};

use crate::{address::is_line_or_control, template::TemplateRef};

/// Longest subject, in bytes: one header line (RFC 5322 section 2.1.1).
pub const MAX_SUBJECT: usize = 998;
/// Longest name of an extra header: it shares its line with the begin of its value.
pub const MAX_HEADER_NAME: usize = 76;
/// Longest value of an extra header, in bytes.
pub const MAX_HEADER_VALUE: usize = 998;

/// The data given for a template, by variable name.
pub type Variables = serde_json::Map<String, serde_json::Value>;

/// Why a text is not a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubject {
    /// Nothing but blanks.
    #[error("empty subject")]
    Empty,
    /// A line break or another control character: a header would end there.
    #[error("line breaks and control characters are not allowed in a subject")]
    Control,
    /// Longer than a header line.
    #[error("longer than {MAX_SUBJECT} bytes")]
    TooLong,
}

/// A subject: one line, not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(String);

impl Subject {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        let text = text.trim_matches([' ', '\t']);
        if text.is_empty() {
            return Err(InvalidSubject::Empty);
        }
        if text.chars().any(is_line_or_control) {
            return Err(InvalidSubject::Control);
        }
        if text.len() > MAX_SUBJECT {
            return Err(InvalidSubject::TooLong);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Why a header is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// Not `[A-Za-z0-9-]{1,76}`.
    #[error("header names are at most {MAX_HEADER_NAME} letters, digits and hyphens")]
    Name,
    /// A header that Posthaste writes itself.
    #[error("this header is set by Posthaste")]
    Reserved,
    /// Line breaks, control characters or over 998 bytes.
    #[error(
        "line breaks, control characters and more than {MAX_HEADER_VALUE} bytes are not allowed"
    )]
    Value,
}

/// A header that the submitter adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraHeader {
    name: String,
    value: String,
}

impl ExtraHeader {
    /// A header of this name and value.
    ///
    /// # Errors
    /// [`InvalidHeader`] if the name is not a header name or is one that Posthaste sets, or if the value could end its
    /// line.
    pub fn new(name: &str, value: &str) -> Result<Self, InvalidHeader> {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if !(1..=MAX_HEADER_NAME).contains(&name.len()) || !name.bytes().all(is_name) {
            return Err(InvalidHeader::Name);
        }
        if is_reserved(name) {
            return Err(InvalidHeader::Reserved);
        }
        if value.len() > MAX_HEADER_VALUE
            || value.chars().any(|c| is_line_or_control(c) && c != '\t')
        {
            return Err(InvalidHeader::Value);
        }
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }

    /// The name as given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value as given.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

fn is_reserved(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "from",
        "to",
        "cc",
        "bcc",
        "sender",
        "reply-to",
        "subject",
        "date",
        "message-id",
        "dkim-signature",
        "return-path",
        "received",
    ];
    const PREFIXES: [&str; 2] = ["content-", "resent-"];
    let name = name.to_ascii_lowercase();
    name == "mime-version"
        || NAMES.contains(&name.as_str())
        || PREFIXES.iter().any(|p| name.starts_with(p))
}

/// A tag that is not `[A-Za-z0-9_-]{1,256}` on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("tag names and values are 1 to 256 of letters, digits, `_` and `-`")]
pub struct InvalidTag;

/// A label for the submitter's own searches; never in the mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    name: String,
    value: String,
}

impl Tag {
    /// A tag of this name and value.
    ///
    /// # Errors
    /// [`InvalidTag`] if either is empty, too long or has other characters.
    pub fn new(name: &str, value: &str) -> Result<Self, InvalidTag> {
        let valid = |text: &str| {
            (1..=256).contains(&text.len())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        };
        if valid(name) && valid(value) {
            Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            })
        } else {
            Err(InvalidTag)
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// What a message says.
#[derive(Clone, PartialEq)]
pub enum Content {
    /// Given with the submit; at least one of `html` and `text` is there.
    Inline {
        /// The subject.
        subject: Subject,
        /// The HTML part.
        html: Option<String>,
        /// The text part; made from the HTML when absent, left out when empty.
        text: Option<String>,
    },
    /// Rendered by the worker from a pinned version of a template.
    Template {
        /// The template and the version that was current at accept.
        template: TemplateRef,
        /// Stands instead of the template's own subject.
        subject: Option<Subject>,
        /// The data.
        variables: Variables,
        /// How the data is kept.
        at_rest: AtRest,
    },
}

impl Content {
    /// About how many bytes it holds.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Inline { html, text, .. } => {
                html.as_ref().map_or(0, String::len) + text.as_ref().map_or(0, String::len)
            }
            Self::Template { variables, .. } => {
                variables.iter().map(|(k, v)| k.len() + value_size(v)).sum()
            }
        }
    }
}

fn value_size(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    const NODE: usize = 32;
    NODE + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(value_size).sum(),
        Value::Object(members) => members.iter().map(|(k, v)| k.len() + value_size(v)).sum(),
    }
}

/// How the data of a template is kept until the mail is sent, and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AtRest {
    /// As it is.
    #[default]
    Plain,
    /// Encrypted: it holds something that opens an account, and whoever copies the database must not have it.
    Sealed,
}

/// Bodies and data are personal: only their sizes are shown.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |part: &Option<String>| part.as_ref().map(String::len);
        match self {
            Self::Inline { html, text, .. } => f
                .debug_struct("Inline")
                .field("html_bytes", &size(html))
                .field("text_bytes", &size(text))
                .finish(),
            Self::Template {
                template,
                variables,
                ..
            } => f
                .debug_struct("Template")
                .field("template", template)
                .field("variables", &variables.len())
                .finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_line() {
        assert_eq!("Hello".parse::<Subject>().unwrap().as_str(), "Hello");
        for (text, error) in [
            ("", InvalidSubject::Empty),
            (" \t", InvalidSubject::Empty),
            ("a\r\nBcc: eve@example.com", InvalidSubject::Control),
            ("a\0b", InvalidSubject::Control),
            ("a\u{2028}b", InvalidSubject::Control),
            (&"x".repeat(999), InvalidSubject::TooLong),
        ] {
            assert_eq!(text.parse::<Subject>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn headers_that_change_who_gets_the_mail_or_what_it_is_are_refused() {
        for name in [
            "From",
            "BCC",
            "bcc",
            "Message-ID",
            "Content-Type",
            "Resent-To",
            "MIME-Version",
            "Received",
        ] {
            assert_eq!(
                ExtraHeader::new(name, "x"),
                Err(InvalidHeader::Reserved),
                "{name}"
            );
        }
        assert_eq!(ExtraHeader::new("X Y", "x"), Err(InvalidHeader::Name));
        assert_eq!(ExtraHeader::new("X:Y", "x"), Err(InvalidHeader::Name));
        assert_eq!(ExtraHeader::new("", "x"), Err(InvalidHeader::Name));
        let long = "X".repeat(77);
        assert_eq!(ExtraHeader::new(&long, "x"), Err(InvalidHeader::Name));
        assert!(ExtraHeader::new(&long[1..], "x").is_ok());
        assert_eq!(
            ExtraHeader::new("X-Y", "a\r\nBcc: b@c.d"),
            Err(InvalidHeader::Value)
        );
        assert_eq!(
            ExtraHeader::new("X-Y", &"x".repeat(999)),
            Err(InvalidHeader::Value)
        );
        assert!(ExtraHeader::new("X-Entity-Ref-ID", "42 \u{e9}").is_ok());
    }

    #[test]
    fn debug_output_holds_no_body() {
        let content = Content::Inline {
            subject: "s".parse().unwrap(),
            html: Some("<b>canary</b>".into()),
            text: Some("canary".into()),
        };
        assert!(!format!("{content:?}").contains("canary"));
    }
}

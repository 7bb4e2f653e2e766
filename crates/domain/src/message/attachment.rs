//! Attachments: files that travel with a mail, or pictures that its HTML shows.
//!
//! Names and types reach headers, so each is a type of its own. What a file holds is large: it is kept apart from the
//! message, and only read for the mail that is being built.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{address::is_line_or_control, id::AttachmentId};

/// Most attachments of one message.
pub const MAX_ATTACHMENTS: usize = 100;
/// Longest name of a file, in bytes.
pub const MAX_FILE_NAME: usize = 255;
/// Longest type of a file, with its parameters, in bytes.
pub const MAX_MEDIA_TYPE: usize = 255;
/// Longest name by which HTML refers to a part, in bytes.
pub const MAX_CONTENT_ID: usize = 128;

/// A text that is not the name of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a file name has 1 to {MAX_FILE_NAME} bytes, no slashes, no control characters, and is not `.` or `..`"
)]
pub struct InvalidFileName;

/// The name of a file, as its reader is offered it: never a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName(String);

impl FileName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FileName {
    type Err = InvalidFileName;

    fn from_str(text: &str) -> Result<Self, InvalidFileName> {
        let text = text.trim();
        let has_length = (1..=MAX_FILE_NAME).contains(&text.len());
        let is_odd = |c: char| is_line_or_control(c) || matches!(c, '/' | '\\');
        if !has_length || text.chars().any(is_odd) || matches!(text, "." | "..") {
            return Err(InvalidFileName);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Why a text is not the type of an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMediaType {
    /// Not `type/subtype` with parameters (RFC 2045 section 5.1).
    #[error("expected a type like `application/pdf`")]
    Syntax,
    /// A type whose parts must not be encoded (RFC 2046 sections 5.1 and 5.2.1).
    #[error("`multipart/*` and `message/*` can not be attached; use `application/octet-stream`")]
    Composite,
}

/// The type of a file: `type/subtype`, with parameters where they were given (RFC 2045 section 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType(String);

impl MediaType {
    /// Of a file about which nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self("application/octet-stream".to_owned())
    }

    /// The type as it stands in a header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MediaType {
    type Err = InvalidMediaType;

    fn from_str(text: &str) -> Result<Self, InvalidMediaType> {
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let (kind, subtype) = essence.split_once('/').ok_or(InvalidMediaType::Syntax)?;
        let is_sound = is_token(kind)
            && is_token(subtype)
            && text.len() <= MAX_MEDIA_TYPE
            && parts.clone().all(is_parameter);
        if !is_sound {
            return Err(InvalidMediaType::Syntax);
        }
        let kind = kind.to_ascii_lowercase();
        if matches!(kind.as_str(), "multipart" | "message") {
            return Err(InvalidMediaType::Composite);
        }
        let mut whole = format!("{kind}/{}", subtype.to_ascii_lowercase());
        for parameter in parts {
            whole.push_str("; ");
            whole.push_str(parameter);
        }
        Ok(Self(whole))
    }
}

/// `name=value`. A quoted value holds neither `"` nor `\` nor `;`.
fn is_parameter(text: &str) -> bool {
    let Some((name, value)) = text.split_once('=') else {
        return false;
    };
    let quoted = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    let is_text = |text: &str| {
        let plain = |b: u8| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\');
        text.bytes().all(plain)
    };
    is_token(name) && quoted.map_or_else(|| is_token(value), is_text)
}

/// RFC 2045 section 5.1.
fn is_token(text: &str) -> bool {
    let is_special = |b: u8| b"()<>@,;:\\\"/[]?=".contains(&b);
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !is_special(b))
}

/// A text that cannot be a content id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a content id has 1 to {MAX_CONTENT_ID} printable ASCII characters without blanks, `<` and `>`"
)]
pub struct InvalidContentId;

/// The name by which HTML shows a part: `cid:NAME` (RFC 2392).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentId(String);

impl ContentId {
    /// The name, without `<` and `>`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContentId {
    type Err = InvalidContentId;

    /// `<` and `>` around it, as it stands in a header, are no part of it.
    fn from_str(text: &str) -> Result<Self, InvalidContentId> {
        let bare = text
            .strip_prefix('<')
            .and_then(|text| text.strip_suffix('>'))
            .unwrap_or(text);
        let is_sound = |b: u8| b.is_ascii_graphic() && !matches!(b, b'<' | b'>');
        if (1..=MAX_CONTENT_ID).contains(&bare.len()) && bare.bytes().all(is_sound) {
            Ok(Self(bare.to_owned()))
        } else {
            Err(InvalidContentId)
        }
    }
}

/// What an attachment holds.
#[derive(Clone, PartialEq, Eq)]
pub enum AttachedBytes {
    /// The bytes.
    Here(Arc<Vec<u8>>),
    /// They are in the store, so many of them.
    Stored(u64),
}

impl AttachedBytes {
    /// How many bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Here(bytes) => bytes.len() as u64,
            Self::Stored(size) => *size,
        }
    }
}

/// What it holds is nobody's business.
impl fmt::Debug for AttachedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(bytes) => write!(f, "Here({} bytes)", bytes.len()),
            Self::Stored(size) => write!(f, "Stored({size} bytes)"),
        }
    }
}

/// A file of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its id.
    pub id: AttachmentId,
    /// Its name.
    pub name: FileName,
    /// Its type.
    pub media_type: MediaType,
    /// Where the HTML shows it, its name there: it is then no file to be saved.
    pub content_id: Option<ContentId>,
    /// What it holds.
    pub bytes: AttachedBytes,
}

/// A file of a draft: it has no id yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftAttachment {
    /// Its name.
    pub name: FileName,
    /// Its type.
    pub media_type: MediaType,
    /// Where the HTML shows it, its name there.
    pub content_id: Option<ContentId>,
    /// What it holds.
    pub bytes: Arc<Vec<u8>>,
}

/// How many bytes of a mail so many bytes become: four characters for three, in lines of 76 (RFC 2045 section 6.8).
#[must_use]
pub fn encoded_size(bytes: u64) -> u64 {
    let characters = bytes.div_ceil(3) * 4;
    characters + characters.div_ceil(76) * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_no_path_and_ends_no_header() {
        for good in [
            "a.pdf",
            "Rechnung März 2026.pdf",
            "领收书.pdf",
            ".env",
            "a\"b;c=d.txt",
        ] {
            assert_eq!(good.parse::<FileName>().unwrap().as_str(), good);
        }
        let long = "x".repeat(256);
        for bad in ["", " ", "a/b", "a\\b", "a\r\nB: c", "a\0", ".", "..", &long] {
            assert_eq!(bad.parse::<FileName>(), Err(InvalidFileName), "{bad:?}");
        }
    }

    #[test]
    fn a_type_has_the_form_of_its_header_and_no_parts_of_its_own() {
        let check = |given: &str, kept: &str| {
            assert_eq!(given.parse::<MediaType>().unwrap().as_str(), kept);
        };
        check("application/pdf", "application/pdf");
        check("Text/CSV;charset=utf-8", "text/csv; charset=utf-8");
        check(
            "text/calendar; method=REQUEST; name=\"in vite.ics\"",
            "text/calendar; method=REQUEST; name=\"in vite.ics\"",
        );
        for bad in [
            "",
            "pdf",
            "a/",
            "/b",
            "a/b; c",
            "a/b; c=\"d",
            "a/b\r\nC: d",
            "a/b; c=d e",
            "a/b;",
        ] {
            assert_eq!(
                bad.parse::<MediaType>(),
                Err(InvalidMediaType::Syntax),
                "{bad:?}"
            );
        }
        for composite in [
            "multipart/mixed; boundary=x",
            "message/rfc822",
            "Message/partial",
        ] {
            assert_eq!(
                composite.parse::<MediaType>(),
                Err(InvalidMediaType::Composite)
            );
        }
    }

    #[test]
    fn a_content_id_is_bare() {
        for given in ["logo", "<logo>"] {
            assert_eq!(given.parse::<ContentId>().unwrap().as_str(), "logo");
        }
        assert!("logo@acme.com".parse::<ContentId>().is_ok());
        let long = "x".repeat(129);
        for bad in ["", "<>", "a b", "a>b", "a\r\n", "ü", &long] {
            assert_eq!(bad.parse::<ContentId>(), Err(InvalidContentId), "{bad:?}");
        }
    }
}

//! The `Message-ID` header (RFC 5322 section 3.6.4): made once from the message's own id, so that each attempt carries
//! the same one and receivers can drop a second copy.

use std::{fmt, str::FromStr};

use crate::{address::EmailAddress, id::MessageId};

/// A text that is not a message id of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message id")]
pub struct InvalidMessageId;

/// `<uuid@sender-domain>`, with its angle brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InternetMessageId(String);

impl InternetMessageId {
    /// The id of the message `id` sent by `sender`.
    #[must_use]
    pub fn of(id: MessageId, sender: &EmailAddress) -> Self {
        Self(format!("<{id}@{}>", sender.domain()))
    }

    /// The text with its brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InternetMessageId {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, InvalidMessageId> {
        let inner = text
            .strip_prefix('<')
            .and_then(|t| t.strip_suffix('>'))
            .ok_or(InvalidMessageId)?;
        let visible = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>');
        if inner.contains('@') && inner.chars().all(visible) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidMessageId)
        }
    }
}

impl fmt::Display for InternetMessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

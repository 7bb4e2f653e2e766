//! Accounts: who they belong to, and how far they have come.

use std::{fmt, str::FromStr};

use crate::{
    address::{EmailAddress, is_line_or_control},
    clock::Timestamp,
    id::UserId,
};

/// Longest display name of a person, in characters.
pub const MAX_DISPLAY_NAME: usize = 100;

/// A text that cannot be shown as a person's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a display name has 1 to {MAX_DISPLAY_NAME} characters, no line breaks and no control characters"
)]
pub struct InvalidDisplayName;

/// How a person wants to be addressed: one line, trimmed.
#[derive(Clone, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DisplayName {
    type Err = InvalidDisplayName;

    fn from_str(text: &str) -> Result<Self, InvalidDisplayName> {
        let text = text.trim();
        if (1..=MAX_DISPLAY_NAME).contains(&text.chars().count())
            && !text.chars().any(is_line_or_control)
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidDisplayName)
        }
    }
}

/// Names are personal: logs show their length only.
impl fmt::Debug for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DisplayName({} characters)", self.0.chars().count())
    }
}

/// How far an account has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserStatus {
    /// Registered; the address is not confirmed yet.
    Pending,
    /// The address is confirmed.
    Active,
}

impl UserStatus {
    /// Every status, for tables and round trips.
    pub const ALL: [Self; 2] = [Self::Pending, Self::Active];
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its address, as it was registered.
    pub email: EmailAddress,
    /// How its owner wants to be addressed.
    pub display_name: Option<DisplayName>,
    /// How far it has come.
    pub status: UserStatus,
    /// When it was registered.
    pub created_at: Timestamp,
}

//! Closed sets as words. The match is exhaustive, so a new variant does not compile without its word; reading goes
//! through the same function, so the two directions cannot part.

use posthaste_domain::{
    delivery::{Class, DeliveryState, Stage},
    stores::StoreError,
    token::TokenPurpose,
    user::UserStatus,
};

/// A closed set whose members are stored as words.
pub(crate) trait Word: Copy + 'static {
    /// Every member.
    const ALL: &'static [Self];

    /// The stored word of a member.
    fn word(self) -> &'static str;

    /// The member with this word.
    fn read(word: &str) -> Result<Self, StoreError> {
        let member = Self::ALL.iter().find(|member| member.word() == word);
        member
            .copied()
            .ok_or_else(|| StoreError::Unreadable(format!("the word `{word}`")))
    }
}

impl Word for DeliveryState {
    const ALL: &'static [Self] = &Self::ALL;

    fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Deferred => "deferred",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Quarantined => "quarantined",
            Self::Uncertain => "uncertain",
        }
    }
}

impl Word for UserStatus {
    const ALL: &'static [Self] = &Self::ALL;

    fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
        }
    }
}

impl Word for TokenPurpose {
    const ALL: &'static [Self] = &[Self::ConfirmAccount, Self::ResetPassword];

    fn word(self) -> &'static str {
        match self {
            Self::ConfirmAccount => "confirm_account",
            Self::ResetPassword => "reset_password",
        }
    }
}

impl Word for Class {
    const ALL: &'static [Self] = &[
        Self::Accepted,
        Self::Transient,
        Self::Throttled,
        Self::Permanent,
        Self::Uncertain,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Permanent => "permanent",
            Self::Uncertain => "uncertain",
        }
    }
}

impl Word for Stage {
    const ALL: &'static [Self] = &[
        Self::Render,
        Self::Connect,
        Self::Tls,
        Self::Greeting,
        Self::Hello,
        Self::Auth,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Body,
        Self::Dot,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Render => "render",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Greeting => "greeting",
            Self::Hello => "hello",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Body => "body",
            Self::Dot => "dot",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    #[track_caller]
    fn check<W: Word + PartialEq + Debug>() {
        for member in W::ALL {
            assert_eq!(W::read(member.word()).unwrap(), *member);
        }
        assert!(matches!(
            W::read("nonsense"),
            Err(StoreError::Unreadable(_))
        ));
    }

    #[test]
    fn every_word_is_read_back_as_what_it_was() {
        check::<DeliveryState>();
        check::<UserStatus>();
        check::<TokenPurpose>();
        check::<Class>();
        check::<Stage>();
    }
}

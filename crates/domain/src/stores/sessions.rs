//! Sessions: one for each log-in. A session has one access token at a time and a family of refresh tokens, of which one
//! is unspent.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::{
    clock::Timestamp,
    id::{SessionId, UserId},
    message::NewMessage,
    password::PasswordHash,
    stores::StoreError,
    token::TokenHash,
    user::User,
};

/// The tokens of a session from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTokens {
    /// What is stored of the access token.
    pub access: TokenHash,
    /// Until when it works.
    pub access_expires_at: Timestamp,
    /// What is stored of the refresh token.
    pub refresh: TokenHash,
    /// Until when it works; the session ends with it.
    pub refresh_expires_at: Timestamp,
}

/// A log-in.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// The password that was proved.
    pub password: PasswordHash,
    /// Its first tokens.
    pub tokens: NewTokens,
    /// When.
    pub at: Timestamp,
}

/// A refresh token that is to be spent for new tokens.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The refresh token that was presented.
    pub presented: TokenHash,
    /// What takes its place.
    pub tokens: NewTokens,
    /// When.
    pub at: Timestamp,
    /// For how long after it was spent a second use passes for two requests at the same instant.
    pub grace: Duration,
    /// The notice to the owner, sent if the token turns out to be used again.
    pub notice: NewMessage,
}

/// What became of a [`Rotation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// The new tokens are the session's.
    Renewed(UserId),
    /// The token was spent a moment ago: another request was first, and its tokens are the session's.
    Raced,
    /// The token was spent before: it was copied. The session has ended, and its owner is told.
    Reused {
        /// The session that ended.
        session: SessionId,
        /// Its owner.
        user: UserId,
    },
    /// It is unknown, has expired, or its session has ended.
    Invalid,
}

/// Sessions and their tokens.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait SessionStore: Debug + Send + Sync + 'static {
    /// Stores a session. `false`, and nothing stored, if the password that was proved is not the account's any more.
    async fn open(&self, session: NewSession) -> Result<bool, StoreError>;

    /// Whose refresh token this is or was, as long as it is remembered.
    async fn refresh_holder(&self, refresh: TokenHash) -> Result<Option<User>, StoreError>;

    /// Spends a refresh token for new tokens. Of any number of callers with one token, one is answered
    /// [`Rotated::Renewed`].
    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError>;

    /// Whose access token this is, if it works at `now`.
    async fn access_holder(
        &self,
        access: TokenHash,
        now: Timestamp,
    ) -> Result<Option<User>, StoreError>;

    /// Ends the session that a refresh token belongs to, spent or not; nothing happens if there is none.
    async fn end(&self, refresh: TokenHash, now: Timestamp) -> Result<(), StoreError>;
}

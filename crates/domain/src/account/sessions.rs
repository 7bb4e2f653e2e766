//! Logging in, staying in, and logging out.
//!
//! A session has one access token and one unspent refresh token. A refresh spends the latter for a new pair; one that
//! is used a second time was copied by somebody, and the session ends (RFC 9700 section 4.14.2).

use std::time::Duration;

use super::{AccountError, Accounts};
use crate::{
    address::EmailAddress,
    clock::{Timestamp, later},
    id::{SessionId, UserId},
    password::{HashError, Password},
    stores::{Credentials, NewSession, NewTokens, Rotated, Rotation, StoreError},
    throttle::{ClientAddress, Throttled},
    token::{NoRandomness, TokenSecret},
    user::{User, UserStatus},
};

/// For how long after a refresh token was spent a second use passes for two requests at the same instant: it gets
/// nothing, and the session goes on.
pub const REUSE_GRACE: Duration = Duration::from_secs(5);

/// What is given to log in.
#[derive(Debug)]
pub struct LogIn {
    /// The address, in any spelling.
    pub email: EmailAddress,
    /// The password.
    pub password: Password,
    /// Where the request comes from.
    pub client: ClientAddress,
}

/// The tokens of a session, shown once.
#[derive(Debug)]
pub struct Tokens {
    /// Sent with each request.
    pub access: TokenSecret,
    /// How long that works.
    pub access_expires_in: Duration,
    /// Spent for the next pair.
    pub refresh: TokenSecret,
    /// How long that works.
    pub refresh_expires_in: Duration,
}

/// Why a log-in failed.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// Too many tries to this address or from this client; the password was not looked at.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// No such address, or another password: nobody is told which.
    #[error("address or password is wrong")]
    InvalidCredentials,
    /// The password is right, and the address waits to be confirmed.
    #[error("the address is not confirmed yet")]
    NotConfirmed,
    /// The password could not be verified.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// No tokens could be made.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a refresh failed.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The token is unknown, has expired, was spent a moment ago by another request, or its session has ended.
    #[error("the refresh token is not valid")]
    Invalid,
    /// The token was spent before. Its session has ended now, and the owner is told.
    #[error("a refresh token was used twice: session {session} of user {user} has ended")]
    Reused {
        /// The session.
        session: SessionId,
        /// Its owner.
        user: UserId,
    },
    /// No tokens, or no notice, could be made; or the store failed.
    #[error(transparent)]
    Failed(#[from] AccountError),
}

impl Accounts {
    /// Logs in. Limits are looked at first; then the password is verified, against nobody's where the address is
    /// unknown, so that answer and time are the same.
    ///
    /// # Errors
    /// [`LogInError`].
    pub async fn log_in(&self, log_in: LogIn) -> Result<Tokens, LogInError> {
        let LogIn {
            email,
            password,
            client,
        } = log_in;
        self.by_client.try_once(&client)?;
        self.by_address.try_once(&email.canonical())?;
        let known = self.users.credentials(&email).await?;
        let hash = known.as_ref().map(|known| known.password.clone());
        let proved = self.hasher.verify(password, hash).await?;
        let Some(Credentials { user, password }) = known.filter(|_| proved) else {
            return Err(LogInError::InvalidCredentials);
        };
        match user.status {
            UserStatus::Pending => return Err(LogInError::NotConfirmed),
            UserStatus::Active => {}
        }
        let now = self.clock.now();
        let (tokens, stored) = self.new_tokens(now)?;
        let session = NewSession {
            id: SessionId::new(now),
            user: user.id,
            password,
            tokens: stored,
            at: now,
        };
        // The password may have been changed while it was verified: then that has ended all sessions, and none begins.
        if self.sessions.open(session).await? {
            Ok(tokens)
        } else {
            Err(LogInError::InvalidCredentials)
        }
    }

    /// Spends a refresh token for a new pair.
    ///
    /// # Errors
    /// [`RefreshError`].
    pub async fn refresh(&self, presented: &TokenSecret) -> Result<Tokens, RefreshError> {
        let presented = presented.hash();
        let holder = self.sessions.refresh_holder(presented).await;
        let Some(holder) = holder.map_err(AccountError::from)? else {
            return Err(RefreshError::Invalid);
        };
        let now = self.clock.now();
        let (tokens, stored) = self.new_tokens(now).map_err(AccountError::from)?;
        // Made before it is known to be needed: whether it is, is decided where the token is spent, in one transaction.
        let notice = self
            .letters
            .session_ended(&holder.email, holder.display_name.as_ref())?;
        let rotation = Rotation {
            presented,
            tokens: stored,
            at: now,
            grace: REUSE_GRACE,
            notice,
        };
        let rotated = self.sessions.rotate(rotation).await;
        match rotated.map_err(AccountError::from)? {
            Rotated::Renewed(_) => Ok(tokens),
            Rotated::Raced | Rotated::Invalid => Err(RefreshError::Invalid),
            Rotated::Reused { session, user } => Err(RefreshError::Reused { session, user }),
        }
    }

    /// Ends the session of a refresh token. A token that is not known is no error: what was asked for holds (RFC 7009
    /// section 2.2).
    ///
    /// # Errors
    /// [`StoreError`] if the store failed.
    pub async fn log_out(&self, refresh: &TokenSecret) -> Result<(), StoreError> {
        self.sessions.end(refresh.hash(), self.clock.now()).await
    }

    /// Whose access token this is, if it works now.
    ///
    /// # Errors
    /// [`StoreError`] if the store failed.
    pub async fn authenticate(&self, access: &TokenSecret) -> Result<Option<User>, StoreError> {
        self.sessions
            .access_holder(access.hash(), self.clock.now())
            .await
    }

    fn new_tokens(&self, now: Timestamp) -> Result<(Tokens, NewTokens), NoRandomness> {
        let tokens = Tokens {
            access: TokenSecret::generate()?,
            access_expires_in: self.policy.access_expiry,
            refresh: TokenSecret::generate()?,
            refresh_expires_in: self.policy.refresh_expiry,
        };
        let stored = NewTokens {
            access: tokens.access.hash(),
            access_expires_at: later(now, tokens.access_expires_in),
            refresh: tokens.refresh.hash(),
            refresh_expires_at: later(now, tokens.refresh_expires_in),
        };
        Ok((tokens, stored))
    }
}

//! What goes wrong with accounts, as the API tells it.

use posthaste_domain::{
    account::{AccountError, ChangePasswordError, LogInError, RefreshError, ResetError},
    password::HashError,
    throttle::Throttled,
};

use super::{ApiError, ErrorKind};

impl ApiError {
    /// No such address, or another password: nobody is told which.
    fn invalid_credentials() -> Self {
        let detail = "address or password is wrong";
        Self::new(ErrorKind::InvalidCredentials, detail).challenged("Bearer realm=\"posthaste\"")
    }

    /// The access token is missing, unknown, expired, or its session has ended: one answer.
    #[must_use]
    pub fn invalid_access_token() -> Self {
        let detail =
            "send the header `Authorization: Bearer <access token>` with a token that is valid";
        Self::new(ErrorKind::InvalidAccessToken, detail)
            .challenged("Bearer realm=\"posthaste\", error=\"invalid_token\"")
    }

    /// The refresh token does not work; log in again.
    #[must_use]
    pub fn invalid_refresh_token() -> Self {
        let detail = "this refresh token is not valid; log in again";
        Self::new(ErrorKind::InvalidRefreshToken, detail)
            .challenged("Bearer realm=\"posthaste\", error=\"invalid_token\"")
    }
}

impl From<Throttled> for ApiError {
    fn from(throttled: Throttled) -> Self {
        Self::too_many(
            "too many tries; wait, then try again",
            throttled.retry_after,
        )
    }
}

impl From<HashError> for ApiError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Overloaded => {
                let detail = "too many passwords wait to be looked at; nothing was stored";
                Self::unavailable(detail, 1).caused_by(error)
            }
            HashError::Failed => Self::internal(error),
        }
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Limited { retry_after } => Self::too_many(
                "too many mails were asked for to this address; nothing was stored",
                retry_after,
            ),
            AccountError::Hash(error) => error.into(),
            AccountError::Store(error) => error.into(),
            AccountError::Randomness(_) | AccountError::Mail(_) => Self::internal(error),
        }
    }
}

impl From<LogInError> for ApiError {
    fn from(error: LogInError) -> Self {
        match error {
            LogInError::Throttled(throttled) => throttled.into(),
            LogInError::InvalidCredentials => Self::invalid_credentials(),
            LogInError::NotConfirmed => Self::new(
                ErrorKind::EmailNotConfirmed,
                "the address is not confirmed yet: follow the link in the mail, or ask for another one",
            ),
            LogInError::Hash(error) => error.into(),
            LogInError::Store(error) => error.into(),
            LogInError::Randomness(_) => Self::internal(error),
        }
    }
}

impl From<RefreshError> for ApiError {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Invalid => Self::invalid_refresh_token(),
            RefreshError::Reused { .. } => Self::invalid_refresh_token().caused_by(error),
            RefreshError::Failed(error) => error.into(),
        }
    }
}

impl From<ResetError> for ApiError {
    fn from(error: ResetError) -> Self {
        match error {
            ResetError::InvalidToken => Self::invalid_token(),
            ResetError::Failed(error) => error.into(),
        }
    }
}

impl From<ChangePasswordError> for ApiError {
    fn from(error: ChangePasswordError) -> Self {
        match error {
            ChangePasswordError::Throttled(throttled) => throttled.into(),
            ChangePasswordError::InvalidCredentials => Self::invalid_credentials(),
            ChangePasswordError::Failed(error) => error.into(),
        }
    }
}

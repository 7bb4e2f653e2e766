//! Getting back in: another confirmation link, a link to choose a new password, and changing the password.
//!
//! A link goes to the address alone, and asking for one tells nothing: the same answer, after the same work, whether or
//! not there is an account.

use super::{AccountError, Accounts, taken};
use crate::{
    address::EmailAddress,
    clock::later,
    id::UserId,
    message::NewMessage,
    password::{HashError, Password},
    stores::{LinkRequest, NewToken, PasswordChange, PasswordReset, StoreError},
    throttle::Throttled,
    token::{TokenPurpose, TokenSecret},
    user::User,
};

/// Why a password was not reset.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// The link is unknown, was used before, or has expired.
    #[error("the link is not valid")]
    InvalidToken,
    /// Anything else; nothing was changed.
    #[error(transparent)]
    Failed(#[from] AccountError),
}

/// Why a password was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    /// Too many tries; the password was not looked at.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// The present password is another one.
    #[error("the present password is wrong")]
    InvalidCredentials,
    /// Anything else; nothing was changed.
    #[error(transparent)]
    Failed(#[from] AccountError),
}

impl Accounts {
    /// Mails another confirmation link, if the address has an account that waits for it.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn resend_confirmation(&self, email: EmailAddress) -> Result<(), AccountError> {
        let secret = TokenSecret::generate()?;
        let now = self.clock.now();
        let known = self
            .users
            .credentials(&email)
            .await?
            .map(|known| known.user);
        let name = known.as_ref().and_then(|user| user.display_name.as_ref());
        let mail =
            self.letters
                .confirmation(written(known.as_ref(), &email), name, &secret, now)?;
        let token = self.confirmation_token(&secret, now);
        self.request_link(email, token, mail).await
    }

    /// Mails a link to choose a new password, if the address has an account.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn forgot_password(&self, email: EmailAddress) -> Result<(), AccountError> {
        let secret = TokenSecret::generate()?;
        let now = self.clock.now();
        let known = self
            .users
            .credentials(&email)
            .await?
            .map(|known| known.user);
        let name = known.as_ref().and_then(|user| user.display_name.as_ref());
        let mail = self
            .letters
            .reset(written(known.as_ref(), &email), name, &secret, now)?;
        let token = NewToken {
            purpose: TokenPurpose::ResetPassword,
            hash: secret.hash(),
            expires_at: later(now, self.policy.reset_expiry),
        };
        self.request_link(email, token, mail).await
    }

    /// Sets a new password for whoever holds a reset link. All sessions of the account end, and its owner is told.
    ///
    /// # Errors
    /// [`ResetError`].
    pub async fn reset_password(
        &self,
        token: &TokenSecret,
        password: Password,
    ) -> Result<UserId, ResetError> {
        let holder = self.reset_holder(token).await?;
        let holder = holder.ok_or(ResetError::InvalidToken)?;
        let password = self.hashed(password).await?;
        let reset = PasswordReset {
            token: token.hash(),
            password,
            at: self.clock.now(),
            notice: self
                .letters
                .password_changed(&holder.email, holder.display_name.as_ref())?,
        };
        let user = self.users.reset_password(reset).await;
        user.map_err(AccountError::from)?
            .ok_or(ResetError::InvalidToken)
    }

    /// Whom a reset link is for, if it works now; it is not spent by asking.
    ///
    /// # Errors
    /// [`AccountError::Store`].
    pub async fn reset_holder(&self, token: &TokenSecret) -> Result<Option<User>, AccountError> {
        let (purpose, now) = (TokenPurpose::ResetPassword, self.clock.now());
        Ok(self.users.holder(token.hash(), purpose, now).await?)
    }

    /// Sets a new password for whoever is logged in and knows the present one. All sessions of the account end, this one
    /// too, and its owner is told.
    ///
    /// # Errors
    /// [`ChangePasswordError`].
    pub async fn change_password(
        &self,
        user: &User,
        present: Password,
        new: Password,
    ) -> Result<(), ChangePasswordError> {
        self.by_address.try_once(&user.email.canonical())?;
        let known = self.users.credentials(&user.email).await;
        let known = known.map_err(AccountError::from)?;
        let old = known.map(|known| known.password);
        let proved = self.hasher.verify(present, old.clone()).await;
        let Some(old) = old.filter(|_| matches!(proved, Ok(true))) else {
            proved.map_err(AccountError::from)?;
            return Err(ChangePasswordError::InvalidCredentials);
        };
        let change = PasswordChange {
            user: user.id,
            old,
            new: self.hashed(new).await?,
            at: self.clock.now(),
            notice: self
                .letters
                .password_changed(&user.email, user.display_name.as_ref())?,
        };
        let changed = self.users.change_password(change).await;
        if changed.map_err(AccountError::from)? {
            Ok(())
        } else {
            Err(ChangePasswordError::InvalidCredentials)
        }
    }

    async fn hashed(
        &self,
        password: Password,
    ) -> Result<crate::password::PasswordHash, AccountError> {
        let hashed: Result<_, HashError> = self.hasher.hash(password).await;
        Ok(hashed?)
    }

    async fn request_link(
        &self,
        email: EmailAddress,
        token: NewToken,
        mail: NewMessage,
    ) -> Result<(), AccountError> {
        let request = LinkRequest {
            email,
            token,
            mail,
            at: self.clock.now(),
            allowance: self.allowance(),
        };
        let requested: Result<_, StoreError> = self.users.request_link(request).await;
        taken(requested?)
    }
}

/// A mail goes to the address as its owner registered it, not as somebody typed it.
fn written<'a>(known: Option<&'a User>, typed: &'a EmailAddress) -> &'a EmailAddress {
    known.map_or(typed, |user| &user.email)
}

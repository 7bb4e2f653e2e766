//! Accounts and their one-time tokens, as they are stored and read back.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::{
    address::EmailAddress,
    clock::Timestamp,
    id::UserId,
    message::NewMessage,
    password::PasswordHash,
    stores::StoreError,
    token::{TokenHash, TokenPurpose},
    user::{DisplayName, User},
};

/// How many account mails may be asked for to one address. Every request counts, whether or not the address has an
/// account and whether or not a mail follows: so the limit tells nobody which of them do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailAllowance {
    /// Most requests within `window`.
    pub requests: u32,
    /// The time that ends now.
    pub window: Duration,
}

/// What became of a request for an account mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requested {
    /// It was carried out, whatever that meant for this address.
    Taken,
    /// There were as many as are allowed; nothing was stored.
    Limited {
        /// How long until the next one is taken.
        retry_after: Duration,
    },
}

/// An account to be made, with both mails of which one will be sent.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The new account's id.
    pub id: UserId,
    /// Its address.
    pub email: EmailAddress,
    /// How its owner wants to be addressed.
    pub display_name: Option<DisplayName>,
    /// Its password.
    pub password: PasswordHash,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// The token that confirms it.
    pub token: NewToken,
    /// Sent if the address was free.
    pub confirmation: NewMessage,
    /// Sent if the address has an account already: its owner is told, the one who asked is not.
    pub notice: NewMessage,
    /// How many such requests the address may see.
    pub allowance: MailAllowance,
}

/// A one-time token to be stored.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What it permits.
    pub purpose: TokenPurpose,
    /// What is stored of it.
    pub hash: TokenHash,
    /// Until when.
    pub expires_at: Timestamp,
}

/// A link to be mailed to whoever owns an address.
#[derive(Debug, Clone)]
pub struct LinkRequest {
    /// The address that was typed in.
    pub email: EmailAddress,
    /// The token in the link. [`TokenPurpose::ConfirmAccount`] is for accounts that wait for it only.
    pub token: NewToken,
    /// The mail with the link; stored only if there is an account that it is for.
    pub mail: NewMessage,
    /// When it was asked for.
    pub at: Timestamp,
    /// How many such requests the address may see.
    pub allowance: MailAllowance,
}

/// What proves a log-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The account.
    pub user: User,
    /// Its password.
    pub password: PasswordHash,
}

/// A new password for whoever holds a reset link.
#[derive(Debug, Clone)]
pub struct PasswordReset {
    /// The token of the link.
    pub token: TokenHash,
    /// The new password.
    pub password: PasswordHash,
    /// When.
    pub at: Timestamp,
    /// The notice to the owner.
    pub notice: NewMessage,
}

/// A new password for whoever knows the old one.
#[derive(Debug, Clone)]
pub struct PasswordChange {
    /// The account.
    pub user: UserId,
    /// The password that was proved.
    pub old: PasswordHash,
    /// The new password.
    pub new: PasswordHash,
    /// When.
    pub at: Timestamp,
    /// The notice to the owner.
    pub notice: NewMessage,
}

/// Accounts and their one-time tokens.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait UserStore: Debug + Send + Sync + 'static {
    /// Stores account, token and confirmation mail; or, if the address is taken, the notice alone. The caller is not
    /// told which: neither can anybody else find out.
    async fn register(&self, registration: Registration) -> Result<Requested, StoreError>;

    /// An account by its id.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// What proves a log-in to the account with this address, in any spelling.
    async fn credentials(&self, email: &EmailAddress) -> Result<Option<Credentials>, StoreError>;

    /// Stores token and mail if the address has an account that the link is for; the caller is not told.
    async fn request_link(&self, request: LinkRequest) -> Result<Requested, StoreError>;

    /// Spends a confirmation token that is valid at `now` and activates its account. `None` if there is no such token,
    /// it has expired or was spent; of two callers at once only one is answered with the account.
    async fn confirm(&self, token: TokenHash, now: Timestamp)
    -> Result<Option<UserId>, StoreError>;

    /// The account that a token for `purpose` is valid for at `now`; the token is not spent.
    async fn holder(
        &self,
        token: TokenHash,
        purpose: TokenPurpose,
        now: Timestamp,
    ) -> Result<Option<User>, StoreError>;

    /// Spends a reset token and all other reset tokens of its account, sets the password, activates the account (whoever
    /// holds the link reads the mailbox), ends all its sessions and stores the notice. `None`, and nothing changed, if
    /// the token is not valid any more; of two callers at once only one is answered with the account.
    async fn reset_password(&self, reset: PasswordReset) -> Result<Option<UserId>, StoreError>;

    /// Sets the password, ends all sessions of the account and its reset tokens, and stores the notice. `false`, and
    /// nothing changed, if the old password is not the account's any more.
    async fn change_password(&self, change: PasswordChange) -> Result<bool, StoreError>;
}

//! Accounts: registering and confirming here, logging in (`sessions`) and getting back in (`recovery`) beside it.
//!
//! Nobody can find out here whether an address has an account: a known address gives the same answer as a new one, after
//! the same work, and only its owner is told, by mail. What limits guessing and mail counts what was asked for, never
//! what there is.

mod letters;
mod recovery;
mod sessions;

use std::{sync::Arc, time::Duration};

pub use self::{
    letters::{
        ALREADY_REGISTERED, CONFIRM_ACCOUNT, PASSWORD_CHANGED, RESET_PASSWORD, SESSION_ENDED,
    },
    recovery::{ChangePasswordError, ResetError},
    sessions::{LogIn, LogInError, REUSE_GRACE, RefreshError, Tokens},
};
use crate::{
    account::letters::Letters,
    address::{EmailAddress, Mailbox},
    clock::{Clock, Timestamp, later},
    desk::{DraftProblem, MailDesk},
    id::UserId,
    owner::Owner,
    password::{HashError, Password, PasswordHasher, PasswordRules},
    stores::{
        MailAllowance, NewToken, Registration, Requested, SessionStore, StoreError, UserStore,
    },
    stream::StreamName,
    throttle::{ClientAddress, Throttle},
    token::{NoRandomness, TokenPurpose, TokenSecret},
    user::{DisplayName, User},
};

/// What the operator decides about accounts.
#[derive(Debug, Clone)]
pub struct AccountPolicy {
    /// The sender of account mails.
    pub sender: Mailbox,
    /// The stream they are sent by.
    pub stream: StreamName,
    /// Who owns those messages when they are read over the API.
    pub owner: Owner,
    /// Where the API is reached from outside, without a final `/`. Links are built from this, never from a request.
    pub public_url: String,
    /// What is asked of a new password; the product's name in it also stands in the mails.
    pub passwords: PasswordRules,
    /// How long a confirmation link works.
    pub confirm_expiry: Duration,
    /// How long a link to choose a new password works.
    pub reset_expiry: Duration,
    /// How long an access token works.
    pub access_expiry: Duration,
    /// How long a refresh token works; a session without a refresh ends then.
    pub refresh_expiry: Duration,
    /// Most log-ins within a minute to one address, and from one client.
    pub logins_per_minute: u32,
    /// Most account mails that may be asked for within an hour to one address.
    pub mails_per_hour: u32,
}

/// What a person gives to register.
#[derive(Debug)]
pub struct NewAccount {
    /// The address.
    pub email: EmailAddress,
    /// How to address the person.
    pub display_name: Option<DisplayName>,
    /// The password.
    pub password: Password,
}

/// The answer to registering, the same for a known address as for a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The account's id; for an address that was known it leads nowhere.
    pub id: UserId,
    /// The address as given.
    pub email: EmailAddress,
    /// When.
    pub created_at: Timestamp,
}

/// Why an account, or a mail about one, could not be had. None of these depends on whether the address is known.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// As many mails to this address were asked for as are allowed within an hour; nothing was stored.
    #[error("too many mails were asked for to this address")]
    Limited {
        /// How long until the next request is taken.
        retry_after: Duration,
    },
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// No token could be made.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The account mails cannot be made: a template is missing or asks for other variables.
    #[error("the account mail cannot be made: {}", problems(.0))]
    Mail(Vec<DraftProblem>),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn problems(all: &[DraftProblem]) -> String {
    all.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// What accounts are built on.
#[derive(Debug, Clone)]
pub struct AccountParts {
    /// Where accounts are kept.
    pub users: Arc<dyn UserStore>,
    /// Where sessions are kept.
    pub sessions: Arc<dyn SessionStore>,
    /// Determines the mails.
    pub desk: Arc<MailDesk>,
    /// Hashes and verifies passwords.
    pub hasher: Arc<dyn PasswordHasher>,
    /// The present.
    pub clock: Arc<dyn Clock>,
}

/// Registers accounts, logs them in and gets them back in.
#[derive(Debug)]
pub struct Accounts {
    users: Arc<dyn UserStore>,
    sessions: Arc<dyn SessionStore>,
    hasher: Arc<dyn PasswordHasher>,
    clock: Arc<dyn Clock>,
    policy: AccountPolicy,
    letters: Letters,
    by_address: Throttle<EmailAddress>,
    by_client: Throttle<ClientAddress>,
}

impl Accounts {
    /// Accounts on these parts.
    #[must_use]
    pub fn new(parts: AccountParts, policy: AccountPolicy) -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        let AccountParts {
            users,
            sessions,
            desk,
            hasher,
            clock,
        } = parts;
        Self {
            users,
            sessions,
            hasher,
            letters: Letters::new(desk, policy.clone()),
            by_address: Throttle::new(policy.logins_per_minute, MINUTE, Arc::clone(&clock)),
            by_client: Throttle::new(policy.logins_per_minute, MINUTE, Arc::clone(&clock)),
            clock,
            policy,
        }
    }

    /// What is asked of a new password.
    #[must_use]
    pub fn password_rules(&self) -> &PasswordRules {
        &self.policy.passwords
    }

    /// Registers an account. When this returns, account, token and confirmation mail are on disk; sending comes later.
    ///
    /// Both mails are made in every case, and the password is hashed in every case, so that answer and time are the
    /// same whether or not the address has an account.
    ///
    /// # Errors
    /// [`AccountError`]; nothing is stored then, but for [`StoreError::OutcomeUnknown`].
    pub async fn register(&self, account: NewAccount) -> Result<Registered, AccountError> {
        let password = self.hasher.hash(account.password).await?;
        let secret = TokenSecret::generate()?;
        let now = self.clock.now();
        let id = UserId::new(now);
        let confirmation = self.letters.confirmation(
            &account.email,
            account.display_name.as_ref(),
            &secret,
            now,
        )?;
        let notice = self.letters.already_registered(&account.email)?;
        let registered = Registered {
            id,
            email: account.email.clone(),
            created_at: now,
        };
        let registration = Registration {
            id,
            email: account.email,
            display_name: account.display_name,
            password,
            created_at: now,
            token: self.confirmation_token(&secret, now),
            confirmation,
            notice,
            allowance: self.allowance(),
        };
        taken(self.users.register(registration).await?)?;
        Ok(registered)
    }

    /// Spends a confirmation token; `None` if it is unknown, spent or expired.
    ///
    /// # Errors
    /// [`StoreError`] if the store failed.
    pub async fn confirm(&self, token: &TokenSecret) -> Result<Option<UserId>, StoreError> {
        self.users.confirm(token.hash(), self.clock.now()).await
    }

    /// An account by its id.
    ///
    /// # Errors
    /// [`StoreError`] if the store failed.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.users.user(id).await
    }

    fn confirmation_token(&self, secret: &TokenSecret, now: Timestamp) -> NewToken {
        NewToken {
            purpose: TokenPurpose::ConfirmAccount,
            hash: secret.hash(),
            expires_at: later(now, self.policy.confirm_expiry),
        }
    }

    fn allowance(&self) -> MailAllowance {
        MailAllowance {
            requests: self.policy.mails_per_hour,
            window: Duration::from_secs(3600),
        }
    }
}

fn taken(requested: Requested) -> Result<(), AccountError> {
    match requested {
        Requested::Taken => Ok(()),
        Requested::Limited { retry_after } => Err(AccountError::Limited { retry_after }),
    }
}

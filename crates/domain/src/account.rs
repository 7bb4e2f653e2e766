//! Accounts: registering and confirming.
//!
//! Nobody can find out here whether an address has an account: a known address gives the same answer, after the same
//! work, and only its owner is told, by mail.

use std::{sync::Arc, time::Duration};

use crate::{
    address::{EmailAddress, Mailbox},
    clock::{Clock, Timestamp, later},
    desk::{DraftProblem, MailDesk},
    id::UserId,
    message::{Draft, DraftContent, NewMessage, Recipients, Variables},
    owner::Owner,
    password::{HashError, Password, PasswordHasher},
    stores::{NewToken, Registration, StoreError, UserStore},
    stream::StreamName,
    template::TemplateName,
    token::{NoRandomness, TokenPurpose, TokenSecret},
    user::{DisplayName, User},
};

/// The template of the mail that asks to confirm an address.
pub const CONFIRM_ACCOUNT: &str = "confirm-account";
/// The template of the mail that tells an owner that somebody registered with the address again.
pub const ALREADY_REGISTERED: &str = "already-registered";

/// What the operator decides about accounts.
#[derive(Debug, Clone)]
pub struct AccountPolicy {
    /// The sender of account mails.
    pub sender: Mailbox,
    /// The product's name in those mails.
    pub product: String,
    /// The stream they are sent by.
    pub stream: StreamName,
    /// Who owns those messages when they are read over the API.
    pub owner: Owner,
    /// Where the API is reached from outside, without a final `/`. Links are built from this, never from a request.
    pub public_url: String,
    /// How long a confirmation link works.
    pub confirm_expiry: Duration,
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

/// Why registering failed. None of these depends on whether the address is known.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
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

/// Registers and confirms accounts.
#[derive(Debug)]
pub struct Accounts {
    users: Arc<dyn UserStore>,
    desk: Arc<MailDesk>,
    hasher: Arc<dyn PasswordHasher>,
    clock: Arc<dyn Clock>,
    policy: AccountPolicy,
}

impl Accounts {
    /// Accounts kept in `users`, with mails determined by `desk`.
    #[must_use]
    pub fn new(
        users: Arc<dyn UserStore>,
        desk: Arc<MailDesk>,
        hasher: Arc<dyn PasswordHasher>,
        clock: Arc<dyn Clock>,
        policy: AccountPolicy,
    ) -> Self {
        Self {
            users,
            desk,
            hasher,
            clock,
            policy,
        }
    }

    /// Registers an account. When this returns, account, token and confirmation mail are on disk; sending comes later.
    ///
    /// Both mails are made in every case, and the password is hashed in every case, so that answer and time are the
    /// same whether or not the address has an account.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing is stored then, but for [`StoreError::OutcomeUnknown`].
    pub async fn register(&self, account: NewAccount) -> Result<Registered, RegisterError> {
        let password = self.hasher.hash(account.password).await?;
        let secret = TokenSecret::generate()?;
        let now = self.clock.now();
        let id = UserId::new(now);
        let confirmation =
            self.confirmation(&account.email, account.display_name.as_ref(), &secret, now)?;
        let notice = self.notice(&account.email)?;
        let token = NewToken {
            purpose: TokenPurpose::ConfirmAccount,
            hash: secret.hash(),
            expires_at: later(now, self.policy.confirm_expiry),
        };
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
            token,
            confirmation,
            notice,
        };
        self.users.register(registration).await?;
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

    fn confirmation(
        &self,
        email: &EmailAddress,
        name: Option<&DisplayName>,
        secret: &TokenSecret,
        now: Timestamp,
    ) -> Result<NewMessage, RegisterError> {
        let url = format!(
            "{}/api/users/confirm?token={}",
            self.policy.public_url,
            secret.reveal()
        );
        let mut variables = self.variables();
        variables.insert("confirm_url".into(), url.into());
        variables.insert(
            "expires_hours".into(),
            (self.policy.confirm_expiry.as_secs() / 3600).max(1).into(),
        );
        if let Some(name) = name {
            variables.insert("display_name".into(), name.as_str().into());
        }
        // A link that no longer works need not be mailed any more.
        let expires_at = later(now, self.policy.confirm_expiry);
        self.mail(CONFIRM_ACCOUNT, email, variables, Some(expires_at))
    }

    /// Says nothing that the one who registered again typed in: a stranger must not reach the owner's inbox through it.
    fn notice(&self, email: &EmailAddress) -> Result<NewMessage, RegisterError> {
        self.mail(ALREADY_REGISTERED, email, self.variables(), None)
    }

    fn variables(&self) -> Variables {
        let mut variables = Variables::new();
        variables.insert("product".into(), self.policy.product.clone().into());
        variables
    }

    fn mail(
        &self,
        template: &str,
        to: &EmailAddress,
        variables: Variables,
        expires_at: Option<Timestamp>,
    ) -> Result<NewMessage, RegisterError> {
        let name: TemplateName = template
            .parse()
            .expect("the names of account templates are valid");
        let draft = Draft {
            owner: self.policy.owner.clone(),
            stream: self.policy.stream.clone(),
            from: Some(self.policy.sender.clone()),
            recipients: Recipients::one(to.clone().into()),
            reply_to: Vec::new(),
            content: DraftContent::Template {
                name,
                subject: None,
                variables,
            },
            headers: Vec::new(),
            tags: Vec::new(),
            metadata: Default::default(),
            expires_at,
        };
        self.desk.determine(draft).map_err(RegisterError::Mail)
    }
}

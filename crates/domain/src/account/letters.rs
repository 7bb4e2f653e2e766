//! The mails about accounts. None of them says anything that a stranger could have typed in: nobody is to reach an
//! owner's inbox through a form.

use std::{sync::Arc, time::Duration};

use super::{AccountError, AccountPolicy};
use crate::{
    address::EmailAddress,
    clock::{Timestamp, later},
    desk::MailDesk,
    message::{AtRest, Draft, DraftContent, NewMessage, Recipients, Variables},
    template::TemplateName,
    token::TokenSecret,
    user::DisplayName,
};

/// The template of the mail that asks to confirm an address.
pub const CONFIRM_ACCOUNT: &str = "confirm-account";
/// The template of the mail that tells an owner that somebody registered with the address again.
pub const ALREADY_REGISTERED: &str = "already-registered";
/// The template of the mail with the link to choose a new password.
pub const RESET_PASSWORD: &str = "reset-password";
/// The template of the mail that tells an owner that the password was changed.
pub const PASSWORD_CHANGED: &str = "password-changed";
/// The template of the mail that tells an owner that a session was ended, because its refresh token was used twice.
pub const SESSION_ENDED: &str = "session-ended";

/// Writes them.
#[derive(Debug)]
pub(super) struct Letters {
    desk: Arc<MailDesk>,
    policy: AccountPolicy,
}

impl Letters {
    pub(super) fn new(desk: Arc<MailDesk>, policy: AccountPolicy) -> Self {
        Self { desk, policy }
    }

    /// With the link that confirms the address.
    pub(super) fn confirmation(
        &self,
        to: &EmailAddress,
        name: Option<&DisplayName>,
        secret: &TokenSecret,
        now: Timestamp,
    ) -> Result<NewMessage, AccountError> {
        let expiry = self.policy.confirm_expiry;
        let mut variables = self.variables(name);
        variables.insert(
            "confirm_url".into(),
            self.link("/api/users/confirm", secret).into(),
        );
        variables.insert("expires_hours".into(), rounded_up(expiry, 3600).into());
        // A link that no longer works need not be mailed any more.
        self.write(CONFIRM_ACCOUNT, to, variables, Some(later(now, expiry)))
    }

    /// With the link to choose a new password.
    pub(super) fn reset(
        &self,
        to: &EmailAddress,
        name: Option<&DisplayName>,
        secret: &TokenSecret,
        now: Timestamp,
    ) -> Result<NewMessage, AccountError> {
        let expiry = self.policy.reset_expiry;
        let mut variables = self.variables(name);
        variables.insert(
            "reset_url".into(),
            self.link("/api/users/password/reset", secret).into(),
        );
        variables.insert("expires_minutes".into(), rounded_up(expiry, 60).into());
        self.write(RESET_PASSWORD, to, variables, Some(later(now, expiry)))
    }

    /// Nothing of what was typed in when the address was registered again.
    pub(super) fn already_registered(&self, to: &EmailAddress) -> Result<NewMessage, AccountError> {
        self.write(ALREADY_REGISTERED, to, self.variables(None), None)
    }

    pub(super) fn password_changed(
        &self,
        to: &EmailAddress,
        name: Option<&DisplayName>,
    ) -> Result<NewMessage, AccountError> {
        self.write(PASSWORD_CHANGED, to, self.variables(name), None)
    }

    pub(super) fn session_ended(
        &self,
        to: &EmailAddress,
        name: Option<&DisplayName>,
    ) -> Result<NewMessage, AccountError> {
        self.write(SESSION_ENDED, to, self.variables(name), None)
    }

    fn link(&self, path: &str, secret: &TokenSecret) -> String {
        format!("{}{path}?token={}", self.policy.public_url, secret.reveal())
    }

    fn variables(&self, name: Option<&DisplayName>) -> Variables {
        let mut variables = Variables::new();
        variables.insert(
            "product".into(),
            self.policy.passwords.product.clone().into(),
        );
        if let Some(name) = name {
            variables.insert("display_name".into(), name.as_str().into());
        }
        variables
    }

    fn write(
        &self,
        template: &str,
        to: &EmailAddress,
        variables: Variables,
        expires_at: Option<Timestamp>,
    ) -> Result<NewMessage, AccountError> {
        let name: TemplateName = template
            .parse()
            .expect("the names of account templates are valid");
        let content = DraftContent::Template {
            name,
            subject: None,
            variables,
            // Links open accounts.
            at_rest: AtRest::Sealed,
        };
        let (owner, stream) = (self.policy.owner.clone(), self.policy.stream.clone());
        let draft = Draft {
            from: Some(self.policy.sender.clone()),
            expires_at,
            ..Draft::new(owner, stream, Recipients::one(to.clone().into()), content)
        };
        self.desk.determine(draft).map_err(AccountError::Mail)
    }
}

/// Whole units of `seconds` each, at least one.
fn rounded_up(time: Duration, seconds: u64) -> u64 {
    time.as_secs().div_ceil(seconds).max(1)
}

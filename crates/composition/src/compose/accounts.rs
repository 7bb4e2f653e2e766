//! Registering, confirming and logging in, from the settings.

use std::sync::Arc;

use posthaste_domain::{
    account::{AccountParts, AccountPolicy, Accounts},
    clock::Clock,
    desk::MailDesk,
    password::PasswordRules,
};
use posthaste_store::Store;

use super::ComposeError;
use crate::{password::Argon2Pool, settings::Settings};

pub(super) fn accounts(
    settings: &Settings,
    store: &Arc<Store>,
    desk: &Arc<MailDesk>,
    clock: &Arc<dyn Clock>,
) -> Result<Accounts, ComposeError> {
    let configured = &settings.accounts;
    let hasher = Arc::new(Argon2Pool::start(
        configured.hashing_threads,
        configured.hashing_queue,
    )?);
    let policy = AccountPolicy {
        sender: configured.sender.clone(),
        stream: configured.stream.clone(),
        owner: configured.owner.clone(),
        public_url: settings.http.public_url.clone(),
        passwords: PasswordRules {
            minimum: configured.password_min_length,
            product: configured.product.clone(),
        },
        confirm_expiry: configured.confirm_expiry,
        reset_expiry: configured.reset_expiry,
        access_expiry: configured.access_expiry,
        refresh_expiry: configured.refresh_expiry,
        logins_per_minute: configured.logins_per_minute,
        mails_per_hour: configured.mails_per_hour,
    };
    let parts = AccountParts {
        users: Arc::<Store>::clone(store),
        sessions: Arc::<Store>::clone(store),
        desk: Arc::clone(desk),
        hasher,
        clock: Arc::clone(clock),
    };
    Ok(Accounts::new(parts, policy))
}

//! Accounts in JSON: what is given to register and to confirm, and what is shown of an account.

use posthaste_domain::{
    account::{NewAccount, Registered},
    address::EmailAddress,
    id::UserId,
    password::{Password, PasswordRules},
    token::TokenSecret,
    user::{User, UserStatus},
};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;

use crate::dto::{
    address::show_address,
    fields::Fields,
    message::time,
    problems::{Pointer, Problems},
    session,
};

/// Reads what is given to register. What an account's owner is told about a password never holds the password.
///
/// # Errors
/// All that is wrong.
pub fn read_registration(
    document: Value,
    mut problems: Problems,
    rules: &PasswordRules,
) -> Result<NewAccount, Problems> {
    let mut fields = Fields::of_document(document, &mut problems);
    let email = fields.require("email", &mut problems);
    let email: Option<EmailAddress> = email.and_then(|email| email.parse(&mut problems));
    let password = chosen(&mut fields, rules, email.as_ref(), &mut problems);
    let display_name = fields.take("display_name");
    let display_name = display_name.and_then(|name| name.parse(&mut problems));
    fields.refuse("locale", "locales are not supported", &mut problems);
    fields.finish(&mut problems);
    match (email, password) {
        (Some(email), Some(password)) if problems.is_empty() => Ok(NewAccount {
            email,
            display_name,
            password,
        }),
        _ => Err(problems),
    }
}

/// Reads the token of a confirmation; `None` if it has not the form of one.
///
/// # Errors
/// All that is wrong with the document itself.
pub fn read_confirmation(
    document: Value,
    mut problems: Problems,
) -> Result<Option<TokenSecret>, Problems> {
    let mut fields = Fields::of_document(document, &mut problems);
    let token = fields.require("token", &mut problems);
    let token = token.and_then(|token| token.text(&mut problems));
    fields.finish(&mut problems);
    match token {
        Some(token) if problems.is_empty() => Ok(token.parse().ok()),
        _ => Err(problems),
    }
}

/// Reads the token of a reset link and the new password, with its place: whose address it is compared with is known only
/// once the token is looked up.
///
/// # Errors
/// All that is wrong with the document itself.
pub fn read_reset(
    document: Value,
    mut problems: Problems,
) -> Result<(Option<TokenSecret>, SecretString, Pointer), Problems> {
    let mut fields = Fields::of_document(document, &mut problems);
    let token = fields.require("token", &mut problems);
    let token = token.and_then(|token| token.text(&mut problems));
    let pointer = fields.pointer("password");
    let password = fields.require("password", &mut problems);
    let password = password.and_then(|password| password.text(&mut problems));
    fields.finish(&mut problems);
    match (token, password) {
        (Some(token), Some(password)) if problems.is_empty() => {
            Ok((token.parse().ok(), password.into(), pointer))
        }
        _ => Err(problems),
    }
}

/// Reads the present and the new password.
///
/// # Errors
/// All that is wrong.
pub fn read_change(
    document: Value,
    mut problems: Problems,
    rules: &PasswordRules,
    email: &EmailAddress,
) -> Result<(Password, Password), Problems> {
    let mut fields = Fields::of_document(document, &mut problems);
    let present = session::present(&mut fields, "current_password", &mut problems);
    let new = chosen(&mut fields, rules, Some(email), &mut problems);
    fields.finish(&mut problems);
    match (present, new) {
        (Some(present), Some(new)) if problems.is_empty() => Ok((present, new)),
        _ => Err(problems),
    }
}

/// The answer to registering. It shows what was given and what is made anew each time: nothing in it depends on whether
/// the address was known.
#[derive(Debug, Serialize)]
pub struct RegisteredAnswer {
    id: String,
    email: String,
    status: &'static str,
    created_at: String,
}

impl RegisteredAnswer {
    /// The answer for a registration.
    #[must_use]
    pub fn new(registered: &Registered) -> Self {
        Self {
            id: registered.id.to_string(),
            email: show_address(&registered.email),
            status: status_word(UserStatus::Pending),
            created_at: time(registered.created_at),
        }
    }
}

/// The answer to confirming.
#[derive(Debug, Serialize)]
pub struct ConfirmedAnswer {
    id: String,
    status: &'static str,
}

impl ConfirmedAnswer {
    /// The answer for an account that is active now.
    #[must_use]
    pub fn new(id: UserId) -> Self {
        Self {
            id: id.to_string(),
            status: status_word(UserStatus::Active),
        }
    }
}

/// An account.
#[derive(Debug, Serialize)]
pub struct UserAnswer {
    id: String,
    email: String,
    display_name: Option<String>,
    status: &'static str,
    created_at: String,
}

impl UserAnswer {
    /// The answer for an account.
    #[must_use]
    pub fn new(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            email: show_address(&user.email),
            display_name: user
                .display_name
                .as_ref()
                .map(|name| name.as_str().to_owned()),
            status: status_word(user.status),
            created_at: time(user.created_at),
        }
    }
}

/// Reads a password that is being chosen.
fn chosen(
    fields: &mut Fields,
    rules: &PasswordRules,
    email: Option<&EmailAddress>,
    problems: &mut Problems,
) -> Option<Password> {
    let field = fields.require("password", problems)?;
    let pointer = field.pointer.clone();
    let password = Password::choose(&field.text(problems)?, rules, email);
    password
        .map_err(|error| problems.invalid(pointer, error.to_string()))
        .ok()
}

fn status_word(status: UserStatus) -> &'static str {
    match status {
        UserStatus::Pending => "pending",
        UserStatus::Active => "active",
    }
}

//! Log-ins in JSON: what is given, and the tokens.

use posthaste_domain::{
    account::{LogIn, Tokens},
    address::EmailAddress,
    password::Password,
    throttle::ClientAddress,
    token::TokenSecret,
};
use serde::Serialize;
use serde_json::Value;

use crate::dto::{fields::Fields, problems::Problems};

/// Reads what is given to log in.
///
/// # Errors
/// All that is wrong.
pub fn read_log_in(
    document: Value,
    mut problems: Problems,
    client: ClientAddress,
) -> Result<LogIn, Problems> {
    let mut fields = Fields::of_document(document, &mut problems);
    let email = fields.require("email", &mut problems);
    let email = email.and_then(|email| email.parse(&mut problems));
    let password = present(&mut fields, "password", &mut problems);
    fields.finish(&mut problems);
    match (email, password) {
        (Some(email), Some(password)) if problems.is_empty() => Ok(LogIn {
            email,
            password,
            client,
        }),
        _ => Err(problems),
    }
}

/// Reads a refresh token; `None` if it has not the form of one.
///
/// # Errors
/// All that is wrong with the document itself.
pub fn read_refresh(
    document: Value,
    mut problems: Problems,
) -> Result<Option<TokenSecret>, Problems> {
    let mut fields = Fields::of_document(document, &mut problems);
    let token = fields.require("refresh_token", &mut problems);
    let token = token.and_then(|token| token.text(&mut problems));
    fields.finish(&mut problems);
    match token {
        Some(token) if problems.is_empty() => Ok(token.parse().ok()),
        _ => Err(problems),
    }
}

/// Reads the address that a mail is asked for to.
///
/// # Errors
/// All that is wrong.
pub fn read_address(document: Value, mut problems: Problems) -> Result<EmailAddress, Problems> {
    let mut fields = Fields::of_document(document, &mut problems);
    let email = fields.require("email", &mut problems);
    let email = email.and_then(|email| email.parse(&mut problems));
    fields.finish(&mut problems);
    match email {
        Some(email) if problems.is_empty() => Ok(email),
        _ => Err(problems),
    }
}

/// Reads a password that is being proved.
pub(super) fn present(
    fields: &mut Fields,
    name: &str,
    problems: &mut Problems,
) -> Option<Password> {
    let field = fields.require(name, problems)?;
    let pointer = field.pointer.clone();
    let password = Password::present(&field.text(problems)?);
    password
        .map_err(|error| problems.invalid(pointer, error.to_string()))
        .ok()
}

/// The tokens of a session (the members of RFC 6749 section 5.1, and the refresh token's own life). Times in seconds.
#[derive(Serialize)]
pub struct TokensAnswer {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    refresh_token: String,
    refresh_expires_in: u64,
}

impl TokensAnswer {
    /// The answer that shows these tokens, the only time that they are shown.
    #[must_use]
    pub fn new(tokens: &Tokens) -> Self {
        Self {
            access_token: tokens.access.reveal(),
            token_type: "Bearer",
            expires_in: tokens.access_expires_in.as_secs(),
            refresh_token: tokens.refresh.reveal(),
            refresh_expires_in: tokens.refresh_expires_in.as_secs(),
        }
    }
}

/// Tokens are secrets.
impl std::fmt::Debug for TokensAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokensAnswer(***)")
    }
}

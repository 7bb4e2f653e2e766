//! Logging in (RFC 4954): PLAIN (RFC 4616), LOGIN, and XOAUTH2 as Google and Microsoft define it.

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::offered::Offered;

/// How a log-in proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMechanism {
    /// PLAIN if it is offered, else LOGIN.
    Password,
    /// PLAIN.
    Plain,
    /// LOGIN.
    Login,
    /// XOAUTH2: the password is an access token.
    Xoauth2,
}

/// A log-in.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password, or the access token.
    pub password: SecretString,
    /// How it is said.
    pub mechanism: AuthMechanism,
}

/// What is said to log in: a command, and an answer to each 334 that follows.
pub(super) struct Dialogue {
    pub(super) command: Zeroizing<String>,
    pub(super) answers: Vec<Zeroizing<String>>,
}

impl Dialogue {
    /// The command as it may be shown: `AUTH PLAIN ***`.
    pub(super) fn shown(&self) -> String {
        let mut words = self.command.splitn(3, ' ');
        let named = words.by_ref().take(2).collect::<Vec<_>>().join(" ");
        match words.next() {
            Some(_) => format!("{named} ***"),
            None => named,
        }
    }
}

impl Credentials {
    /// What to say to a server with these offers. Without any offer PLAIN is tried: some servers forget to say it.
    pub(super) fn dialogue(&self, offered: &Offered) -> Dialogue {
        let password = self.password.expose_secret();
        let user = &self.username;
        let login = match self.mechanism {
            AuthMechanism::Password => offered.login && !offered.plain,
            AuthMechanism::Login => true,
            AuthMechanism::Plain => false,
            AuthMechanism::Xoauth2 => {
                let token =
                    Zeroizing::new(format!("user={user}\x01auth=Bearer {password}\x01\x01"));
                return Dialogue {
                    command: Zeroizing::new(format!("AUTH XOAUTH2 {}", *encoded(&token))),
                    // A refusal comes as 334 with its reason; an empty line gets the code.
                    answers: vec![Zeroizing::default()],
                };
            }
        };
        if login {
            Dialogue {
                command: Zeroizing::new("AUTH LOGIN".to_owned()),
                answers: vec![encoded(user), encoded(password)],
            }
        } else {
            let both = Zeroizing::new(format!("\0{user}\0{password}"));
            Dialogue {
                command: Zeroizing::new(format!("AUTH PLAIN {}", *encoded(&both))),
                answers: Vec::new(),
            }
        }
    }
}

fn encoded(text: &str) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mechanism: AuthMechanism, plain: bool, login: bool, expected: &[&str]) {
        let credentials = Credentials {
            username: "user".to_owned(),
            password: SecretString::from("pass"),
            mechanism,
        };
        let offered = Offered {
            plain,
            login,
            ..Offered::default()
        };
        let Dialogue { command, answers } = credentials.dialogue(&offered);
        let said: Vec<_> = std::iter::once(command).chain(answers).collect();
        let said: Vec<_> = said.iter().map(|line| line.as_str()).collect();
        assert_eq!(said, expected);
    }

    #[test]
    fn a_log_in_is_said_as_the_server_offers() {
        let plain = ["AUTH PLAIN AHVzZXIAcGFzcw=="];
        let login = ["AUTH LOGIN", "dXNlcg==", "cGFzcw=="];
        check(AuthMechanism::Password, true, true, &plain);
        check(AuthMechanism::Password, false, true, &login);
        check(AuthMechanism::Password, false, false, &plain);
        check(AuthMechanism::Login, true, false, &login);
        check(AuthMechanism::Plain, false, true, &plain);
        let token = "AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHBhc3MBAQ==";
        check(AuthMechanism::Xoauth2, true, true, &[token, ""]);
    }
}

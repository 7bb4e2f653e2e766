//! What a server answered, at which stage, and what that means for another attempt.

use std::{fmt, str::FromStr, time::Duration};

/// Longest reply text that is kept, in characters.
pub const MAX_REPLY_TEXT: usize = 512;

/// The step of a delivery at which it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Making the bytes: template, MIME.
    Render,
    /// Name resolution and connection.
    Connect,
    /// TLS handshake, implicit or after STARTTLS.
    Tls,
    /// The server's first line.
    Greeting,
    /// EHLO or HELO.
    Hello,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA, until its 354.
    Data,
    /// The text of the mail, before its final dot.
    Body,
    /// The final dot and the reply to it.
    Dot,
}

impl Stage {
    /// Whether the mail itself was begun. What ends before that, a name that is not found, a server that is away, a refused
    /// log-in, is about the way: it says nothing about the mail and spends none of its attempts.
    #[must_use]
    pub fn concerns_the_mail(self) -> bool {
        match self {
            Self::Connect | Self::Tls | Self::Greeting | Self::Hello | Self::Auth => false,
            Self::Render | Self::Mail | Self::Rcpt | Self::Data | Self::Body | Self::Dot => true,
        }
    }
}

/// What a reply means for the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Taken.
    Accepted,
    /// Not now: another attempt may succeed.
    Transient,
    /// Not so fast: as transient, and the destination asks for less.
    Throttled,
    /// Never: the same attempt would fail again.
    Permanent,
    /// The final dot may have arrived, no reply to it was read.
    Uncertain,
}

/// An enhanced status code, `class.subject.detail` (RFC 3463 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnhancedCode {
    /// 2, 4 or 5.
    pub class: u8,
    /// What it is about.
    pub subject: u16,
    /// What happened.
    pub detail: u16,
}

/// A text that is not `x.y.z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an enhanced status code")]
pub struct InvalidEnhancedCode;

impl FromStr for EnhancedCode {
    type Err = InvalidEnhancedCode;

    fn from_str(text: &str) -> Result<Self, InvalidEnhancedCode> {
        let mut parts = text.split('.');
        let mut number = || {
            let part = parts
                .next()
                .filter(|p| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()));
            part.and_then(|p| p.parse::<u16>().ok())
                .ok_or(InvalidEnhancedCode)
        };
        let (class, subject, detail) = (number()?, number()?, number()?);
        if parts.next().is_some() || !matches!(class, 2 | 4 | 5) {
            return Err(InvalidEnhancedCode);
        }
        Ok(Self {
            class: u8::try_from(class).map_err(|_| InvalidEnhancedCode)?,
            subject,
            detail,
        })
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// How an attempt ended for one recipient: a server's reply, or our own words where there was none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Where it ended.
    pub stage: Stage,
    /// What it means.
    pub class: Class,
    /// The server's code (RFC 5321 section 4.2), if it answered.
    pub code: Option<u16>,
    /// The server's enhanced code, if it sent one.
    pub enhanced: Option<EnhancedCode>,
    /// The wait that the server named, or that the way out is known to need. It is not stored.
    pub retry_after: Option<Duration>,
    /// The server's text, or ours: one line of at most 512 characters without control characters.
    pub text: String,
}

impl Reply {
    /// A reply without a server's code. The text is made fit to store: control characters become blanks, NUL included,
    /// and it is cut to 512 characters.
    #[must_use]
    pub fn new(stage: Stage, class: Class, text: &str) -> Self {
        let clean = |c: char| {
            if crate::address::is_line_or_control(c) {
                ' '
            } else {
                c
            }
        };
        let text = text
            .trim()
            .chars()
            .take(MAX_REPLY_TEXT)
            .map(clean)
            .collect();
        Self {
            stage,
            class,
            code: None,
            enhanced: None,
            retry_after: None,
            text,
        }
    }

    /// The same with a wait before the next attempt.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same with the server's codes.
    #[must_use]
    pub fn with_code(mut self, code: u16, enhanced: Option<EnhancedCode>) -> Self {
        self.code = Some(code);
        self.enhanced = enhanced;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enhanced_codes_are_read_strictly() {
        let check = |text: &str, valid: bool| {
            let read = text.parse::<EnhancedCode>().map(|code| code.to_string());
            assert_eq!(read.as_deref().ok(), valid.then_some(text), "{text:?}");
        };
        check("5.1.1", true);
        check("4.7.28", true);
        check("5.1", false);
        check("3.1.1", false);
        check("5.1.1.1", false);
        check("5.1.x", false);
        check("5.1.1000", false);
        check("+5.1.1", false);
    }

    /// I40. A NUL, which PostgreSQL takes in no text, is a blank like every other control character.
    #[test]
    fn a_reply_text_is_one_clean_short_line() {
        let reply = Reply::new(
            Stage::Rcpt,
            Class::Permanent,
            &format!("no\r\nsuch\0user\u{1b}[2J {}", "x".repeat(600)),
        );
        assert!(reply.text.starts_with("no  such user [2J x"));
        assert_eq!(reply.text.chars().count(), MAX_REPLY_TEXT);
    }
}

//! From a rendered message to its bytes (RFC 5322, RFC 2045 to 2047).
//!
//! A pure function: `Message-ID`, `Date` and the boundary come from the message, so each attempt sends the same bytes,
//! in whichever process. Texts are quoted-printable with CRLF line ends, so nothing in a body can end the message or a
//! line of it. `Bcc` is never written. What comes out is checked once more before anybody sends it.

mod files;
mod text;

use lettre::message::{
    Body, Mailbox as LettreMailbox, Mailboxes, Message, MultiPart, SinglePart,
    header::{Bcc, Cc, ContentTransferEncoding, ContentType, Date, HeaderName, ReplyTo, To},
};
use posthaste_domain::{address::Mailbox, message::NewMessage};

use crate::render::Rendered;

/// Longest line without its CRLF (RFC 5322 section 2.1.1).
const MAX_LINE: usize = 998;

/// A message cannot be written down. This is a fault of ours: values that could cause it are refused before.
#[derive(Debug, thiserror::Error)]
pub enum MimeError {
    /// lettre refused an address or a header.
    #[error("the message cannot be built")]
    Build(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The finished bytes break a rule of the format.
    #[error("the finished message has {0}")]
    Unsound(&'static str),
}

/// The bytes of a message.
///
/// # Errors
/// [`MimeError`]; the same message would fail again.
pub fn write(message: &NewMessage, rendered: &Rendered) -> Result<Vec<u8>, MimeError> {
    let mut builder = Message::builder()
        .from(mailbox(&message.from)?)
        .raw_header(text::header(
            HeaderName::new_from_ascii_str("Subject"),
            rendered.subject.as_str(),
        ))
        .message_id(Some(message.message_id.as_str().to_owned()))
        .header(Date::new(message.due_at().into()));
    if !message.recipients.to.is_empty() {
        builder = builder.header(To::from(mailboxes(&message.recipients.to)?));
    }
    if !message.recipients.cc.is_empty() {
        builder = builder.header(Cc::from(mailboxes(&message.recipients.cc)?));
    }
    if !message.reply_to.is_empty() {
        builder = builder.header(ReplyTo::from(mailboxes(&message.reply_to)?));
    }
    for header in &message.headers {
        let name = HeaderName::new_from_ascii(header.name().to_owned()).map_err(build)?;
        builder = builder.raw_header(text::header(name, header.value()));
    }
    // lettre wants an envelope and would take it from the headers; a message to hidden recipients only has none there.
    let sender: lettre::Address = message.from.address().expose().parse().map_err(build)?;
    let envelope =
        lettre::address::Envelope::new(Some(sender.clone()), vec![sender]).map_err(build)?;
    builder = builder.envelope(envelope);
    let built = match (&rendered.text, &rendered.html) {
        _ if !message.attachments.is_empty() => builder.multipart(files::parts(message, rendered)?),
        (Some(text), Some(html)) => {
            let boundary = format!("=_{}", message.id.as_uuid().simple());
            let parts = MultiPart::alternative().boundary(boundary);
            builder.multipart(
                parts
                    .singlepart(part(ContentType::TEXT_PLAIN, text)?)
                    .singlepart(part(ContentType::TEXT_HTML, html)?),
            )
        }
        (Some(text), None) => builder.singlepart(part(ContentType::TEXT_PLAIN, last_line(text))?),
        (None, Some(html)) => builder.singlepart(part(ContentType::TEXT_HTML, last_line(html))?),
        (None, None) => builder.singlepart(part(ContentType::TEXT_PLAIN, "")?),
    };
    let mut built = built.map_err(build)?;
    built.headers_mut().remove::<Bcc>();
    let bytes = match built.formatted() {
        marked if !message.attachments.is_empty() => files::filled(message, &marked)?,
        whole => whole,
    };
    check(&bytes)?;
    Ok(bytes)
}

fn part(kind: ContentType, text: &str) -> Result<SinglePart, MimeError> {
    let body = Body::new_with_encoding(crlf(text), ContentTransferEncoding::QuotedPrintable);
    let body = body.map_err(|_| MimeError::Unsound("a part that cannot be encoded"))?;
    Ok(SinglePart::builder().header(kind).body(body))
}

/// The text without its last line end: lettre writes one behind a part that stands alone.
fn last_line(text: &str) -> &str {
    text.strip_suffix("\r\n")
        .or_else(|| text.strip_suffix(['\n', '\r']))
        .unwrap_or(text)
}

/// Every line end as CRLF; NUL, which no mail may carry, as the sign for what cannot be shown.
fn crlf(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + text.len() / 32);
    let mut rest = text;
    while let Some(at) = memchr::memchr3(b'\r', b'\n', b'\0', rest.as_bytes()) {
        lines.push_str(&rest[..at]);
        let length = if rest[at..].starts_with("\r\n") { 2 } else { 1 };
        lines.push_str(match &rest[at..at + length] {
            "\0" => "\u{fffd}",
            _ => "\r\n",
        });
        rest = &rest[at + length..];
    }
    lines.push_str(rest);
    lines
}

fn mailbox(mailbox: &Mailbox) -> Result<LettreMailbox, MimeError> {
    let address = mailbox.address().expose().parse().map_err(build)?;
    Ok(LettreMailbox::new(
        mailbox.name().map(str::to_owned),
        address,
    ))
}

fn mailboxes(all: &[Mailbox]) -> Result<Mailboxes, MimeError> {
    all.iter().map(mailbox).collect()
}

fn build(error: impl std::error::Error + Send + Sync + 'static) -> MimeError {
    MimeError::Build(Box::new(error))
}

/// The last look at the bytes: what passes here cannot end a message early at any server (RFC 5321 section 2.3.8).
fn check(bytes: &[u8]) -> Result<(), MimeError> {
    let mut line = 0;
    let mut previous = 0;
    for &byte in bytes {
        match byte {
            b'\n' if previous != b'\r' => return Err(MimeError::Unsound("a bare line feed")),
            _ if previous == b'\r' && byte != b'\n' => {
                return Err(MimeError::Unsound("a bare carriage return"));
            }
            0 => return Err(MimeError::Unsound("a NUL")),
            0x80.. => return Err(MimeError::Unsound("a byte outside ASCII")),
            _ => {}
        }
        line = if byte == b'\n' { 0 } else { line + 1 };
        // The carriage return counts here, not in the limit.
        if line > MAX_LINE + 1 {
            return Err(MimeError::Unsound("a line that is too long"));
        }
        previous = byte;
    }
    if previous == b'\r' {
        Err(MimeError::Unsound("a bare carriage return"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
#[path = "mime_tests.rs"]
mod tests;

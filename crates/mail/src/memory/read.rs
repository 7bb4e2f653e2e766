//! A mail as its recipient sees it, read by a parser that has nothing to do with whoever wrote it.

use mail_parser::{Message, MessageParser, MimeHeaders};

use super::SentMail;

/// What a person finds in a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadMail {
    /// `Subject`, decoded; empty where there is none.
    pub subject: String,
    /// The address in `From`.
    pub from: String,
    /// The addresses in `To`.
    pub to: Vec<String>,
    /// The text part; nothing if there is none.
    pub text: Option<String>,
    /// The HTML part; nothing if there is none.
    pub html: Option<String>,
    /// Attached files.
    pub attachments: Vec<Attachment>,
    headers: Vec<(String, String)>,
}

/// An attached file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its name; empty where it has none.
    pub name: String,
    /// `image/png`.
    pub content_type: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Bytes that no mail is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not a mail")]
pub struct NotAMail;

impl SentMail {
    /// Reads it.
    ///
    /// # Errors
    /// [`NotAMail`].
    pub fn read(&self) -> Result<ReadMail, NotAMail> {
        let parsed = MessageParser::default()
            .parse(&self.message)
            .ok_or(NotAMail)?;
        let addresses = |list: Option<&mail_parser::Address<'_>>| {
            let each = list.into_iter().flat_map(|list| list.iter());
            let each = each.filter_map(|one| one.address.as_deref());
            each.map(str::to_owned).collect::<Vec<_>>()
        };
        Ok(ReadMail {
            subject: parsed.subject().unwrap_or_default().to_owned(),
            from: addresses(parsed.from()).pop().unwrap_or_default(),
            to: addresses(parsed.to()),
            text: part(&parsed, &parsed.text_body, "plain"),
            html: part(&parsed, &parsed.html_body, "html"),
            attachments: parsed.attachments().map(attachment).collect(),
            headers: parsed
                .headers_raw()
                .map(|(name, value)| (name.to_owned(), unfolded(value)))
                .collect(),
        })
    }
}

impl ReadMail {
    /// The value of the first header of this name, in any case, unfolded and otherwise as it stands.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Every address of the web that it shows or leads to, each once: those of the HTML part first.
    #[must_use]
    pub fn links(&self) -> Vec<String> {
        let html = self.html.iter().flat_map(|html| links(html));
        let html = html.map(|link| link.replace("&amp;", "&"));
        let text = self.text.iter().flat_map(|text| links(text));
        let mut found: Vec<String> = Vec::new();
        for link in html.chain(text.map(str::to_owned)) {
            if !found.contains(&link) {
                found.push(link);
            }
        }
        found
    }

    /// Numbers of four to eight digits that stand alone in the text part, or in the subject: codes to be typed in.
    #[must_use]
    pub fn codes(&self) -> Vec<String> {
        let texts = self.text.iter().chain([&self.subject]);
        let words = texts.flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
        let codes = words.filter(|word| {
            (4..=8).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
        });
        let mut found: Vec<String> = Vec::new();
        for code in codes {
            if !found.iter().any(|known| known == code) {
                found.push(code.to_owned());
            }
        }
        found
    }
}

/// The first of these parts that is of this kind: where there is only one kind, a parser lists it as the other too.
fn part(message: &Message<'_>, numbers: &[u32], kind: &str) -> Option<String> {
    let parts = numbers.iter().filter_map(|number| message.part(*number));
    let mut of_kind = parts.filter(|part| {
        let content_type = part.content_type();
        // RFC 2045 section 5.2: what does not say is plain text.
        content_type.map_or(kind == "plain", |found| found.subtype() == Some(kind))
    });
    let text = of_kind.next()?.text_contents()?;
    Some(text.to_owned())
}

fn attachment(part: &mail_parser::MessagePart<'_>) -> Attachment {
    let content_type = part.content_type().map_or_else(String::new, |found| {
        let subtype = found.subtype().unwrap_or_default();
        format!("{}/{subtype}", found.ctype())
    });
    Attachment {
        name: part.attachment_name().unwrap_or_default().to_owned(),
        content_type,
        bytes: part.contents().to_vec(),
    }
}

fn unfolded(value: &str) -> String {
    value.replace("\r\n", "").trim().to_owned()
}

/// Addresses of the web in a text, without the stop of the sentence that they stand in.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let begins = text.match_indices("http").map(|(at, _)| &text[at..]);
    let begins = begins.filter(|rest| rest.starts_with("http://") || rest.starts_with("https://"));
    begins.map(|rest| {
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>');
        let link = &rest[..rest.find(ends).unwrap_or(rest.len())];
        link.trim_end_matches(['.', ',', ';', ':', '!', '?', ')'])
    })
}

//! A mail that is ready to be sent, for an application that needs neither templates nor a store.

use posthaste_domain::{
    address::Mailbox,
    clock::Timestamp,
    id::MessageId,
    message::{Content, InternetMessageId, NewMessage, Recipients, Subject},
};

use crate::{
    envelope::Envelope,
    mime::{self, MimeError},
    render::Rendered,
};

/// Envelope and bytes of one mail: what a [`Transport`](crate::Transport) sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Who the transport is told.
    pub envelope: Envelope,
    /// The mail as it goes over the wire (RFC 5322).
    pub bytes: Vec<u8>,
}

impl Letter {
    /// A plain text to one recipient. It has its own `Message-ID`, and `now` for its `Date`.
    ///
    /// # Errors
    /// [`MimeError`] if it cannot be written down; the same letter would fail again.
    ///
    /// # Panics
    /// Never: the names it gives to owner and stream are sound.
    pub fn text(
        from: Mailbox,
        to: Mailbox,
        subject: Subject,
        text: &str,
        now: Timestamp,
    ) -> Result<Self, MimeError> {
        let id = MessageId::new(now);
        let recipient = to.address().clone();
        let rendered = Rendered {
            subject: subject.clone(),
            html: None,
            text: Some(text.to_owned()),
        };
        let message = NewMessage {
            id,
            owner: "application".parse().expect("a sound name"),
            stream: "letters".parse().expect("a sound name"),
            message_id: InternetMessageId::of(id, from.address()),
            from,
            recipients: Recipients::one(to),
            reply_to: Vec::new(),
            content: Content::Inline {
                subject,
                html: None,
                text: None,
            },
            attachments: Vec::new(),
            headers: Vec::new(),
            tags: Vec::new(),
            metadata: std::collections::BTreeMap::new(),
            created_at: now,
            scheduled_at: None,
            expires_at: now,
            deliveries: Vec::new(),
        };
        Ok(Self {
            bytes: mime::write(&message, &rendered)?,
            envelope: Envelope {
                recipients: vec![recipient],
                ..Envelope::of(&message, &[])
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_has_an_envelope_and_is_a_whole_mail() {
        let now = Timestamp::from_timestamp(1_790_000_000, 0).unwrap();
        let from = "App <app@example.com>".parse().unwrap();
        let to = "ada@example.com".parse().unwrap();
        let letter = Letter::text(from, to, "Hello".parse().unwrap(), "One.\nTwo.", now).unwrap();
        assert_eq!(letter.envelope.sender.expose(), "app@example.com");
        assert_eq!(letter.envelope.recipients[0].expose(), "ada@example.com");
        let id = format!("Message-ID: <{}@example.com>", letter.envelope.id);
        let mail = String::from_utf8(letter.bytes).unwrap();
        for line in [
            id.as_str(),
            "To: ada@example.com",
            "Subject: Hello",
            "One.",
            "Two.",
        ] {
            assert!(mail.lines().any(|found| found == line), "{line} in\n{mail}");
        }
    }
}

//! A stored message -> JSON. All members are always there, because strict clients ask for them.

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use posthaste_domain::{
    address::Mailbox,
    clock::Timestamp,
    delivery::{DeliveryState, MessageStatus, Stage},
    id::MessageId,
    message::Content,
    stores::{StoredDelivery, StoredMessage},
};
use serde::Serialize;

use crate::dto::address::show;

/// The answer to a submit: the id, and nothing else where the mail is on disk.
#[derive(Debug, Serialize)]
pub struct SubmitAnswer {
    /// The message's id.
    pub id: String,
    /// `memory` where the mail is not stored: it may be lost, and is not found by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durability: Option<&'static str>,
    /// `true` where it was dropped at once.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dropped: bool,
}

/// A message as its owner reads it.
#[derive(Debug, Serialize)]
pub struct MessageAnswer {
    object: &'static str,
    id: String,
    message_id: String,
    from: String,
    to: Vec<String>,
    cc: Option<Vec<String>>,
    bcc: Option<Vec<String>>,
    reply_to: Option<Vec<String>>,
    subject: String,
    /// Absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Option<String>>,
    created_at: String,
    scheduled_at: Option<String>,
    last_event: &'static str,
    tags: Vec<TagAnswer>,
    status: &'static str,
    stream: String,
    metadata: BTreeMap<String, String>,
    expires_at: String,
    locale: Option<String>,
    template: Option<TemplateAnswer>,
}

#[derive(Debug, Serialize)]
struct TagAnswer {
    name: String,
    value: String,
}

#[derive(Debug, Serialize)]
struct TemplateAnswer {
    id: String,
    version: String,
}

/// Whether a server refused a recipient of a message that failed: the published clients tell that from other failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A recipient was refused.
    OfRecipient,
    /// Nothing of the kind is known.
    Other,
}

impl Refusal {
    /// What the deliveries of a message say.
    #[must_use]
    pub fn of(deliveries: &[StoredDelivery]) -> Self {
        let refused = deliveries.iter().any(|delivery| {
            let mut last = delivery
                .attempts
                .iter()
                .rev()
                .filter(|attempt| !attempt.stale);
            delivery.state == DeliveryState::Failed
                && last
                    .next()
                    .is_some_and(|attempt| attempt.reply.stage == Stage::Rcpt)
        });
        if refused {
            Self::OfRecipient
        } else {
            Self::Other
        }
    }
}

impl MessageAnswer {
    /// The answer for a message with this status.
    #[must_use]
    pub fn new(stored: StoredMessage, status: MessageStatus, refusal: Refusal) -> Self {
        let message = stored.message;
        let (subject, html, text, template) = match message.content {
            Content::Inline {
                subject,
                html,
                text,
            } => (Some(subject), html, text, None),
            Content::Template {
                template, subject, ..
            } => {
                let template = TemplateAnswer {
                    id: template.name.to_string(),
                    version: template.version.to_string(),
                };
                (subject, None, None, Some(template))
            }
        };
        let tag = |tag: &posthaste_domain::message::Tag| TagAnswer {
            name: tag.name().to_owned(),
            value: tag.value().to_owned(),
        };
        Self {
            object: "email",
            id: message.id.to_string(),
            message_id: message.message_id.to_string(),
            from: show(&message.from),
            to: message.recipients.to.iter().map(show).collect(),
            cc: shown(&message.recipients.cc),
            bcc: shown(&message.recipients.bcc),
            reply_to: shown(&message.reply_to),
            // A template's own subject is only known once it is rendered; clients insist on a string.
            subject: subject.map_or_else(String::new, |subject| subject.as_str().to_owned()),
            html: Some(html),
            text: Some(text),
            created_at: time(message.created_at),
            scheduled_at: message.scheduled_at.map(time),
            last_event: last_event(status, refusal),
            tags: message.tags.iter().map(tag).collect(),
            status: status_word(status),
            stream: message.stream.to_string(),
            metadata: message.metadata,
            expires_at: time(message.expires_at),
            locale: None,
            template,
        }
    }
}

impl MessageAnswer {
    /// The same in a list.
    #[must_use]
    pub fn without_bodies(self) -> Self {
        Self {
            html: None,
            text: None,
            ..self
        }
    }
}

/// A time in an answer: RFC 3339, UTC, milliseconds.
#[must_use]
pub fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn shown(mailboxes: &[Mailbox]) -> Option<Vec<String>> {
    (!mailboxes.is_empty()).then(|| mailboxes.iter().map(show).collect())
}

/// What a change of a mail answers.
#[derive(Debug, Serialize)]
pub struct ChangedAnswer {
    object: &'static str,
    id: String,
}

impl ChangedAnswer {
    /// Of this mail.
    #[must_use]
    pub fn of(id: MessageId) -> Self {
        Self {
            object: "email",
            id: id.to_string(),
        }
    }
}

/// A message's status as a word.
#[must_use]
pub fn status_word(status: MessageStatus) -> &'static str {
    match status {
        MessageStatus::Scheduled => "scheduled",
        MessageStatus::Queued => "queued",
        MessageStatus::Sending => "sending",
        MessageStatus::Deferred => "deferred",
        MessageStatus::Delivered => "delivered",
        MessageStatus::Partial => "partial",
        MessageStatus::Failed => "failed",
        MessageStatus::Expired => "expired",
        MessageStatus::Quarantined => "quarantined",
        MessageStatus::Uncertain => "uncertain",
        MessageStatus::Cancelled => "cancelled",
    }
}

/// The same in the words of the published clients.
fn last_event(status: MessageStatus, refusal: Refusal) -> &'static str {
    match status {
        MessageStatus::Scheduled => "scheduled",
        MessageStatus::Queued | MessageStatus::Sending => "queued",
        MessageStatus::Deferred => "delivery_delayed",
        MessageStatus::Delivered => "delivered",
        // Handed over, not confirmed.
        MessageStatus::Uncertain => "sent",
        MessageStatus::Partial => "bounced",
        MessageStatus::Failed if refusal == Refusal::OfRecipient => "bounced",
        MessageStatus::Failed | MessageStatus::Expired | MessageStatus::Quarantined => "failed",
        MessageStatus::Cancelled => "canceled",
    }
}

//! Messages: to three rows and back.

use std::collections::BTreeMap;

use posthaste_domain::{
    address::{EmailAddress, Mailbox},
    clock::Timestamp,
    id::{DeliveryId, MessageId},
    message::{AtRest, Content, ExtraHeader, NewDelivery, NewMessage, Recipients, Tag, Variables},
    stores::StoreError,
    template::TemplateRef,
};
use sea_orm::Set;
use serde::{Deserialize, Serialize};

use super::{attachment, micros, read, timestamp, unreadable};
use crate::{
    convert::word::Word,
    entity::{deliveries, message_bodies, message_tags, messages},
    seal::Sealer,
};

/// A mailbox in JSON.
#[derive(Serialize, Deserialize)]
struct StoredMailbox {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    address: String,
}

#[derive(Serialize, Deserialize)]
struct StoredRecipients {
    to: Vec<StoredMailbox>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cc: Vec<StoredMailbox>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bcc: Vec<StoredMailbox>,
}

pub(crate) fn message_row(message: &NewMessage) -> messages::ActiveModel {
    let (subject, template) = match &message.content {
        Content::Inline { subject, .. } => (Some(subject), None),
        Content::Template {
            template, subject, ..
        } => (subject.as_ref(), Some(template)),
    };
    messages::ActiveModel {
        id: Set(message.id.as_uuid()),
        owner: Set(message.owner.to_string()),
        stream: Set(message.stream.to_string()),
        message_id: Set(message.message_id.to_string()),
        sender: Set(json(&stored(&message.from))),
        sender_address: Set(Some(message.from.address().canonical().expose().to_owned())),
        recipients: Set(json(&StoredRecipients {
            to: all_stored(&message.recipients.to),
            cc: all_stored(&message.recipients.cc),
            bcc: all_stored(&message.recipients.bcc),
        })),
        reply_to: Set(json(&all_stored(&message.reply_to))),
        subject: Set(subject.map(|subject| subject.as_str().to_owned())),
        template_name: Set(template.map(|template| template.name.to_string())),
        template_version: Set(template.map(|template| template.version.to_string())),
        headers: Set(json(
            &message
                .headers
                .iter()
                .map(|h| (h.name(), h.value()))
                .collect::<Vec<_>>(),
        )),
        tags: Set(json(
            &message
                .tags
                .iter()
                .map(|t| (t.name(), t.value()))
                .collect::<Vec<_>>(),
        )),
        metadata: Set(json(&message.metadata)),
        attachments: Set(attachment::stored(&message.attachments)),
        created_at: Set(micros(message.created_at)),
        scheduled_at: Set(message.scheduled_at.map(micros)),
        expires_at: Set(micros(message.expires_at)),
    }
}

pub(crate) fn body_row(message: &NewMessage, sealer: &Sealer) -> message_bodies::ActiveModel {
    let id = message.id.as_uuid();
    let mut row = message_bodies::ActiveModel {
        message_id: Set(id),
        html: Set(None),
        text: Set(None),
        variables: Set(None),
        sealed: Set(None),
    };
    match &message.content {
        Content::Inline { html, text, .. } => {
            row.html = Set(html.clone());
            row.text = Set(text.clone());
        }
        Content::Template {
            variables, at_rest, ..
        } => match at_rest {
            AtRest::Plain => row.variables = Set(Some(json(variables))),
            AtRest::Sealed => {
                row.sealed = Set(Some(sealer.seal(id.as_bytes(), json(variables).into())));
            }
        },
    }
    row
}

pub(crate) fn tag_rows(message: &NewMessage) -> impl Iterator<Item = message_tags::ActiveModel> {
    let mut tags: Vec<_> = message
        .tags
        .iter()
        .map(|tag| (tag.name(), tag.value()))
        .collect();
    // Given twice, a tag is one.
    tags.sort_unstable();
    tags.dedup();
    tags.into_iter()
        .map(|(name, value)| message_tags::ActiveModel {
            owner: Set(message.owner.to_string()),
            name: Set(name.to_owned()),
            value: Set(value.to_owned()),
            message_id: Set(message.id.as_uuid()),
        })
}

pub(crate) fn delivery_rows(message: &NewMessage) -> impl Iterator<Item = deliveries::ActiveModel> {
    (0..)
        .zip(&message.deliveries)
        .map(|(position, delivery)| deliveries::ActiveModel {
            id: Set(delivery.id.as_uuid()),
            message_id: Set(message.id.as_uuid()),
            position: Set(position),
            recipient: Set(delivery.recipient.expose().to_owned()),
            state: Set(posthaste_domain::delivery::DeliveryState::Queued
                .word()
                .to_owned()),
            tries: Set(0),
            next_attempt_at: Set(None),
            updated_at: Set(micros(message.created_at)),
            doubt_hash: Set(None),
            doubt_transport: Set(None),
        })
}

/// The message of these rows; `deliveries` in the order of their positions.
pub(crate) fn message(
    row: messages::Model,
    body: message_bodies::Model,
    deliveries: &[deliveries::Model],
    sealer: &Sealer,
) -> Result<NewMessage, StoreError> {
    let recipients: StoredRecipients = from_json("messages.recipients", &row.recipients)?;
    let headers: Vec<(String, String)> = from_json("messages.headers", &row.headers)?;
    let tags: Vec<(String, String)> = from_json("messages.tags", &row.tags)?;
    let metadata: BTreeMap<String, String> = from_json("messages.metadata", &row.metadata)?;
    let header = |(name, value): &(String, String)| ExtraHeader::new(name, value);
    let tag = |(name, value): &(String, String)| Tag::new(name, value);
    let created_at: Timestamp = timestamp(row.created_at)?;
    Ok(NewMessage {
        id: MessageId::from_uuid(row.id),
        owner: read("messages.owner", &row.owner)?,
        stream: read("messages.stream", &row.stream)?,
        message_id: read("messages.message_id", &row.message_id)?,
        from: mailbox(&from_json("messages.sender", &row.sender)?)?,
        recipients: Recipients {
            to: mailboxes(&recipients.to)?,
            cc: mailboxes(&recipients.cc)?,
            bcc: mailboxes(&recipients.bcc)?,
        },
        reply_to: mailboxes(&from_json::<Vec<StoredMailbox>>(
            "messages.reply_to",
            &row.reply_to,
        )?)?,
        headers: headers
            .iter()
            .map(header)
            .collect::<Result<_, _>>()
            .map_err(|_| unreadable("messages.headers"))?,
        tags: tags
            .iter()
            .map(tag)
            .collect::<Result<_, _>>()
            .map_err(|_| unreadable("messages.tags"))?,
        metadata,
        attachments: attachment::attachments(row.attachments.as_deref())?,
        created_at,
        scheduled_at: row.scheduled_at.map(timestamp).transpose()?,
        expires_at: timestamp(row.expires_at)?,
        deliveries: deliveries.iter().map(delivery).collect::<Result<_, _>>()?,
        content: content(
            row.subject,
            row.template_name.zip(row.template_version),
            body,
            sealer,
        )?,
    })
}

fn content(
    subject: Option<String>,
    template: Option<(String, String)>,
    body: message_bodies::Model,
    sealer: &Sealer,
) -> Result<Content, StoreError> {
    let subject = subject
        .map(|subject| read("messages.subject", &subject))
        .transpose()?;
    let Some((name, version)) = template else {
        let subject = subject.ok_or_else(|| unreadable("messages.subject"))?;
        return Ok(Content::Inline {
            subject,
            html: body.html,
            text: body.text,
        });
    };
    let template = TemplateRef {
        name: read("messages.template_name", &name)?,
        version: read("messages.template_version", &version)?,
    };
    let (variables, at_rest) = match (body.variables, body.sealed) {
        (Some(plain), None) => (plain, AtRest::Plain),
        (None, Some(sealed)) => {
            let opened = sealer.open(body.message_id.as_bytes(), sealed);
            let opened = opened.and_then(|bytes| String::from_utf8(bytes).ok());
            // Sealed by another key, or touched.
            let opened = opened.ok_or_else(|| unreadable("message_bodies.sealed"))?;
            (opened, AtRest::Sealed)
        }
        _ => return Err(unreadable("message_bodies.variables")),
    };
    let variables: Variables = from_json("message_bodies.variables", &variables)?;
    Ok(Content::Template {
        template,
        subject,
        variables,
        at_rest,
    })
}

fn delivery(row: &deliveries::Model) -> Result<NewDelivery, StoreError> {
    let recipient = read("deliveries.recipient", &row.recipient)?;
    Ok(NewDelivery {
        id: DeliveryId::from_uuid(row.id),
        recipient,
    })
}

fn stored(mailbox: &Mailbox) -> StoredMailbox {
    StoredMailbox {
        name: mailbox.name().map(str::to_owned),
        address: mailbox.address().expose().to_owned(),
    }
}

fn all_stored(mailboxes: &[Mailbox]) -> Vec<StoredMailbox> {
    mailboxes.iter().map(stored).collect()
}

fn mailbox(stored: &StoredMailbox) -> Result<Mailbox, StoreError> {
    let address: EmailAddress = read("a mailbox", &stored.address)?;
    Mailbox::new(stored.name.as_deref(), address).map_err(|_| unreadable("a mailbox"))
}

fn mailboxes(stored: &[StoredMailbox]) -> Result<Vec<Mailbox>, StoreError> {
    stored.iter().map(mailbox).collect()
}

pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("maps with text keys, lists and texts are always JSON")
}

pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    column: &str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| unreadable(column))
}

//! Messages, and templates in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use posthaste_domain::{
    clock::{ManualClock, Timestamp, later},
    delivery::DeliveryState,
    id::{DeliveryId, MessageId},
    message::{AtRest, Content, InternetMessageId, NewDelivery, NewMessage, Recipients, Variables},
    stores::{OpenDelivery, OutgoingMessage, StoreError, TemplateVersions},
    template::{TemplateCatalog, TemplateVersion, TemplateVersionId},
};
use posthaste_mail::{Library, render::Source};
use serde_json::Value;

/// Template versions as a store keeps them.
#[derive(Debug, Default)]
pub(crate) struct Versions(Mutex<Vec<TemplateVersion>>);

#[async_trait]
impl TemplateVersions for Versions {
    async fn keep(&self, versions: Vec<TemplateVersion>) -> Result<(), StoreError> {
        self.0.lock().expect("no panic").extend(versions);
        Ok(())
    }

    async fn version(&self, id: &TemplateVersionId) -> Result<Option<TemplateVersion>, StoreError> {
        let versions = self.0.lock().expect("no panic");
        Ok(versions
            .iter()
            .find(|version| &version.reference.version == id)
            .cloned())
    }
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(later(
        Timestamp::UNIX_EPOCH,
        Duration::from_secs(1_800_000_000),
    )))
}

/// A template `t` of these files, with a sample without data.
pub(crate) fn template(files: &[(&str, &str)]) -> Source {
    let files = files
        .iter()
        .map(|(name, text)| (format!("t/{name}"), (*text).to_owned()));
    Source::of(files.chain([("t/samples/default.json".to_owned(), "{}".to_owned())]))
}

pub(crate) fn variables(json: &Value) -> Variables {
    json.as_object().expect("an object").clone()
}

pub(crate) fn message(now: Timestamp, to: &[&str], content: Content) -> NewMessage {
    let id = MessageId::new(now);
    let from = "app@example.com".parse().expect("a mailbox");
    let recipients = Recipients {
        to: to.iter().map(|to| to.parse().expect("a mailbox")).collect(),
        ..Recipients::default()
    };
    let deliveries = recipients.envelope().cloned();
    let deliveries = deliveries
        .map(|recipient| NewDelivery {
            id: DeliveryId::new(now),
            recipient,
        })
        .collect();
    NewMessage {
        id,
        owner: "acme".parse().expect("an owner"),
        stream: "transactional".parse().expect("a stream"),
        message_id: InternetMessageId::of(id, &"app@example.com".parse().expect("an address")),
        from,
        recipients,
        reply_to: Vec::new(),
        content,
        attachments: Vec::new(),
        headers: Vec::new(),
        tags: Vec::new(),
        metadata: BTreeMap::new(),
        created_at: now,
        scheduled_at: None,
        expires_at: later(now, Duration::from_secs(86_400)),
        deliveries,
    }
}

pub(crate) fn plain() -> Content {
    Content::Inline {
        subject: "hi".parse().expect("a subject"),
        html: None,
        text: Some("x".to_owned()),
    }
}

/// A message by the template `t` of `library`.
pub(crate) fn by_template(library: &Library, data: &Value) -> Content {
    let variables = variables(data);
    let pinned = library
        .pin(&"t".parse().expect("a name"), &variables)
        .expect("the data fit");
    Content::Template {
        template: pinned.reference,
        subject: None,
        variables,
        at_rest: AtRest::Plain,
    }
}

/// Everything still open, tried `tries` times before.
pub(crate) fn outgoing(message: NewMessage, tries: u32) -> OutgoingMessage {
    let state = if tries == 0 {
        DeliveryState::Queued
    } else {
        DeliveryState::Deferred
    };
    let open = message.deliveries.iter();
    let open = open.map(|delivery| OpenDelivery {
        id: delivery.id,
        recipient: delivery.recipient.clone(),
        state,
        tries,
        doubt: None,
    });
    OutgoingMessage {
        open: open.collect(),
        expires_at: message.expires_at,
        message,
    }
}

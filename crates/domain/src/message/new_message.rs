//! From a draft (what a submitter gave, each field parsed) to a message that is ready to be stored.

use std::collections::BTreeMap;

use crate::{
    address::{EmailAddress, Mailbox},
    clock::Timestamp,
    id::{DeliveryId, MessageId},
    message::{
        AtRest, AttachedBytes, Attachment, Content, DraftAttachment, ExtraHeader,
        InternetMessageId, Subject, Tag, Variables, When, encoded_size,
    },
    owner::Owner,
    stream::StreamName,
    template::TemplateName,
};

/// Most recipients of one message: to, cc and bcc together.
pub const MAX_RECIPIENTS: usize = 50;
/// Largest message, in bytes, with its attachments as they are encoded: what most servers take.
pub const MAX_MESSAGE: u64 = 25 * 1024 * 1024;

/// Who a message goes to. `bcc` reaches the envelope only, never a header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipients {
    /// Shown in `To`.
    pub to: Vec<Mailbox>,
    /// Shown in `Cc`.
    pub cc: Vec<Mailbox>,
    /// Not shown.
    pub bcc: Vec<Mailbox>,
}

impl Recipients {
    /// One recipient, shown in `To`.
    #[must_use]
    pub fn one(mailbox: Mailbox) -> Self {
        Self {
            to: vec![mailbox],
            ..Self::default()
        }
    }

    /// Each address once, where it was named first: whoever is in `to` is not in `cc` or `bcc` again.
    #[must_use]
    pub fn merged(self) -> Self {
        let mut seen = std::collections::BTreeSet::new();
        let mut once = |mailboxes: Vec<Mailbox>| {
            let mut mailboxes = mailboxes;
            mailboxes.retain(|mailbox| seen.insert(mailbox.address().canonical()));
            mailboxes
        };
        Self {
            to: once(self.to),
            cc: once(self.cc),
            bcc: once(self.bcc),
        }
    }

    /// Number of mailboxes given, repetitions included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.to.len() + self.cc.len() + self.bcc.len()
    }

    /// The envelope recipients: each address once, in the order given.
    pub fn envelope(&self) -> impl Iterator<Item = &EmailAddress> {
        let mut seen = std::collections::BTreeSet::new();
        let all = self
            .to
            .iter()
            .chain(&self.cc)
            .chain(&self.bcc)
            .map(Mailbox::address);
        all.filter(move |address| seen.insert(address.canonical()))
    }
}

/// What a submitter asks for: every field is valid by itself; what needs configuration, templates or the clock is
/// still open.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Who submits.
    pub owner: Owner,
    /// The stream to send by.
    pub stream: StreamName,
    /// The sender; may be absent when the template names one.
    pub from: Option<Mailbox>,
    /// The recipients.
    pub recipients: Recipients,
    /// Where answers go, if not to the sender.
    pub reply_to: Vec<Mailbox>,
    /// What it says.
    pub content: DraftContent,
    /// Files that travel with it.
    pub attachments: Vec<DraftAttachment>,
    /// Headers added by the submitter.
    pub headers: Vec<ExtraHeader>,
    /// Labels for searches.
    pub tags: Vec<Tag>,
    /// Data kept and returned, never in the mail.
    pub metadata: BTreeMap<String, String>,
    /// When it is to go out; at once if absent.
    pub scheduled_at: Option<When>,
    /// When the mail is worth nothing any more; the stream's expiry if absent.
    pub expires_at: Option<Timestamp>,
}

impl Draft {
    /// A draft with what every message has, and nothing else yet.
    #[must_use]
    pub fn new(
        owner: Owner,
        stream: StreamName,
        recipients: Recipients,
        content: DraftContent,
    ) -> Self {
        Self {
            owner,
            stream,
            from: None,
            recipients,
            reply_to: Vec::new(),
            content,
            attachments: Vec::new(),
            headers: Vec::new(),
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            scheduled_at: None,
            expires_at: None,
        }
    }
}

/// What a draft says.
#[derive(Debug, Clone)]
pub enum DraftContent {
    /// Given whole.
    Inline(Content),
    /// By a template, whose current version will be pinned.
    Template {
        /// Its name.
        name: TemplateName,
        /// Stands instead of the template's own subject.
        subject: Option<Subject>,
        /// The data.
        variables: Variables,
        /// How the data is kept.
        at_rest: AtRest,
    },
}

/// A message as it is stored: determined byte for byte.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// Its id.
    pub id: MessageId,
    /// Who submitted it.
    pub owner: Owner,
    /// The stream it is sent by.
    pub stream: StreamName,
    /// The `Message-ID` header, the same in each attempt.
    pub message_id: InternetMessageId,
    /// The sender, in `From` and in the envelope.
    pub from: Mailbox,
    /// The recipients as shown.
    pub recipients: Recipients,
    /// `Reply-To`.
    pub reply_to: Vec<Mailbox>,
    /// What it says.
    pub content: Content,
    /// Files that travel with it.
    pub attachments: Vec<Attachment>,
    /// Headers added by the submitter.
    pub headers: Vec<ExtraHeader>,
    /// Labels.
    pub tags: Vec<Tag>,
    /// Data kept beside it.
    pub metadata: BTreeMap<String, String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it is due, if not at once.
    pub scheduled_at: Option<Timestamp>,
    /// When it is given up.
    pub expires_at: Timestamp,
    /// One delivery for each envelope recipient.
    pub deliveries: Vec<NewDelivery>,
}

/// A delivery to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The envelope recipient.
    pub recipient: EmailAddress,
}

impl NewMessage {
    /// When it is due; also its `Date` header.
    #[must_use]
    pub fn due_at(&self) -> Timestamp {
        self.scheduled_at.unwrap_or(self.created_at)
    }

    /// About how many bytes the mail has on the wire, as far as that is known before it is rendered.
    #[must_use]
    pub fn wire_size(&self) -> u64 {
        let attached = self
            .attachments
            .iter()
            .map(|a| encoded_size(a.bytes.size()));
        attached.sum::<u64>() + self.content.size() as u64
    }

    /// About how many bytes of memory the message holds, for the bounds of queues inside the process.
    #[must_use]
    pub fn size(&self) -> usize {
        const OVERHEAD: usize = 1024;
        let attached = self.attachments.iter().map(|attachment| {
            OVERHEAD / 4
                + match &attachment.bytes {
                    AttachedBytes::Here(bytes) => bytes.len(),
                    AttachedBytes::Stored(_) => 0,
                }
        });
        let attached: usize = attached.sum();
        let headers: usize = self
            .headers
            .iter()
            .map(|h| h.name().len() + h.value().len())
            .sum();
        let metadata: usize = self.metadata.iter().map(|(k, v)| k.len() + v.len()).sum();
        OVERHEAD
            + self.content.size()
            + attached
            + headers
            + metadata
            + self.recipients.count() * 256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_named_twice_gets_one_delivery() {
        let recipients = Recipients {
            to: vec!["Ada <ada@example.com>".parse().unwrap()],
            cc: vec![
                "ADA@example.com".parse().unwrap(),
                "bob@example.com".parse().unwrap(),
            ],
            bcc: vec![
                "bob@example.com".parse().unwrap(),
                "eve@example.com".parse().unwrap(),
            ],
        };
        let envelope: Vec<_> = recipients.envelope().map(EmailAddress::expose).collect();
        assert_eq!(
            envelope,
            ["ada@example.com", "bob@example.com", "eve@example.com"]
        );
        assert_eq!(recipients.count(), 5);
        let merged = recipients.merged();
        let places = (merged.to.len(), merged.cc.len(), merged.bcc.len());
        assert_eq!(places, (1, 1, 1), "each where it was named first");
    }
}

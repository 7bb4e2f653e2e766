//! The fingerprint of a submit, by which a repeat under the same idempotency key is told from another request.
//!
//! It is taken of the draft, so that spelling does not count: order of members, blanks, `null` or absent, one address
//! or a list of one. Each part carries its label and length, so that no two drafts share their bytes; absent parts add
//! nothing, so that a field added later leaves the fingerprints of yesterday's requests alone.

use posthaste_domain::{
    address::Mailbox,
    message::{Content, Draft, DraftAttachment, DraftContent, Subject, When},
};
use sha2::{Digest, Sha256};

/// SHA-256 of a draft. Whose it is does not count: keys of two owners never meet.
#[must_use]
pub fn of(draft: &Draft) -> [u8; 32] {
    let mut parts = Parts(Sha256::new());
    parts.add("stream", draft.stream.as_str());
    parts.add_mailboxes("from", draft.from.as_slice());
    parts.add_mailboxes("to", &draft.recipients.to);
    parts.add_mailboxes("cc", &draft.recipients.cc);
    parts.add_mailboxes("bcc", &draft.recipients.bcc);
    parts.add_mailboxes("reply_to", &draft.reply_to);
    parts.add_content(&draft.content);
    for file in &draft.attachments {
        parts.add_file(file);
    }
    for header in &draft.headers {
        parts.add("header", header.name());
        parts.add("value", header.value());
    }
    for tag in &draft.tags {
        parts.add("tag", tag.name());
        parts.add("value", tag.value());
    }
    for (name, value) in &draft.metadata {
        parts.add("metadata", name);
        parts.add("value", value);
    }
    match draft.scheduled_at {
        Some(When::At(time)) => parts.add("at", &time.timestamp_micros().to_string()),
        // The same words ask for the same, whenever they are said.
        Some(When::In(wait)) => parts.add("in", &wait.as_micros().to_string()),
        None => {}
    }
    if let Some(time) = draft.expires_at {
        parts.add("expires_at", &time.timestamp_micros().to_string());
    }
    parts.0.finalize().into()
}

struct Parts(Sha256);

impl Parts {
    fn add(&mut self, label: &str, text: &str) {
        self.0.update(format!("{label}:{}:", text.len()));
        self.0.update(text);
    }

    fn add_file(&mut self, file: &DraftAttachment) {
        self.add("file", file.name.as_str());
        self.add("type", file.media_type.as_str());
        if let Some(id) = &file.content_id {
            self.add("cid", id.as_str());
        }
        self.0.update(format!("bytes:{}:", file.bytes.len()));
        self.0.update(file.bytes.as_slice());
    }

    fn add_mailboxes(&mut self, label: &str, mailboxes: &[Mailbox]) {
        for mailbox in mailboxes {
            self.add(label, mailbox.address().expose());
            if let Some(name) = mailbox.name() {
                self.add("name", name);
            }
        }
    }

    fn add_content(&mut self, content: &DraftContent) {
        match content {
            DraftContent::Inline(content) => self.add_determined(content),
            DraftContent::Template {
                name,
                subject,
                variables,
                at_rest: _,
            } => {
                self.add("template", name.as_str());
                self.add_subject(subject.as_ref());
                // The map keeps its members in the order of their names.
                for (name, value) in variables {
                    self.add("variable", name);
                    self.add("value", &value.to_string());
                }
            }
        }
    }

    fn add_determined(&mut self, content: &Content) {
        match content {
            Content::Inline {
                subject,
                html,
                text,
            } => {
                self.add_subject(Some(subject));
                for (label, part) in [("html", html), ("text", text)] {
                    if let Some(part) = part {
                        self.add(label, part);
                    }
                }
            }
            Content::Template {
                template,
                subject,
                variables,
                at_rest: _,
            } => {
                self.add("version", template.version.as_str());
                self.add_subject(subject.as_ref());
                for (name, value) in variables {
                    self.add("variable", name);
                    self.add("value", &value.to_string());
                }
            }
        }
    }

    fn add_subject(&mut self, subject: Option<&Subject>) {
        if let Some(subject) = subject {
            self.add("subject", subject.as_str());
        }
    }
}

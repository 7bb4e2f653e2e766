//! Attachments: what is known of them stands beside their message, as JSON, and what they hold in a table of its own.

use posthaste_domain::{
    id::AttachmentId,
    message::{AttachedBytes, Attachment},
    stores::StoreError,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    message::{from_json, json},
    read,
};

/// The column.
const COLUMN: &str = "messages.attachments";

#[derive(Serialize, Deserialize)]
struct StoredAttachment {
    id: Uuid,
    name: String,
    media_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_id: Option<String>,
    size: u64,
}

/// What is known of the attachments of a message; nothing where there are none, as in mail of a release that knew none.
pub(super) fn stored(attachments: &[Attachment]) -> Option<String> {
    let stored = |attachment: &Attachment| StoredAttachment {
        id: attachment.id.as_uuid(),
        name: attachment.name.as_str().to_owned(),
        media_type: attachment.media_type.as_str().to_owned(),
        content_id: attachment
            .content_id
            .as_ref()
            .map(|id| id.as_str().to_owned()),
        size: attachment.bytes.size(),
    };
    let stored: Vec<_> = attachments.iter().map(stored).collect();
    (!stored.is_empty()).then(|| json(&stored))
}

/// The attachments of a message, without what they hold.
pub(super) fn attachments(column: Option<&str>) -> Result<Vec<Attachment>, StoreError> {
    let Some(text) = column else {
        return Ok(Vec::new());
    };
    let stored: Vec<StoredAttachment> = from_json(COLUMN, text)?;
    stored.into_iter().map(attachment).collect()
}

fn attachment(stored: StoredAttachment) -> Result<Attachment, StoreError> {
    Ok(Attachment {
        id: AttachmentId::from_uuid(stored.id),
        name: read(COLUMN, &stored.name)?,
        media_type: read(COLUMN, &stored.media_type)?,
        content_id: stored.content_id.map(|id| read(COLUMN, &id)).transpose()?,
        bytes: AttachedBytes::Stored(stored.size),
    })
}

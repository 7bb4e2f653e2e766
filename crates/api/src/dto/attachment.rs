//! An attachment -> JSON.

use posthaste_domain::{id::MessageId, message::Attachment};
use serde::Serialize;

use crate::state::Parts;

/// An attachment as its owner reads it.
#[derive(Debug, Serialize)]
pub struct AttachmentAnswer {
    object: &'static str,
    id: String,
    filename: String,
    size: u64,
    content_type: String,
    content_disposition: &'static str,
    content_id: Option<String>,
    download_url: String,
}

impl AttachmentAnswer {
    /// The answer for an attachment of this message.
    #[must_use]
    pub fn new(parts: &Parts, message: MessageId, file: &Attachment) -> Self {
        let url = &parts.public_url;
        Self {
            object: "attachment",
            id: file.id.to_string(),
            filename: file.name.as_str().to_owned(),
            size: file.bytes.size(),
            content_type: file.media_type.as_str().to_owned(),
            content_disposition: match &file.content_id {
                Some(_) => "inline",
                None => "attachment",
            },
            content_id: file.content_id.as_ref().map(|id| id.as_str().to_owned()),
            download_url: format!("{url}/emails/{message}/attachments/{}/content", file.id),
        }
    }
}

//! An attachment -> JSON.

use posthaste_domain::{
    clock::later,
    message::{Attachment, NewMessage},
};
use serde::Serialize;

use crate::{dto::message::time, state::Parts};

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
    /// Until then it is kept; the address itself does not change.
    expires_at: String,
}

impl AttachmentAnswer {
    /// The answer for an attachment of this message.
    #[must_use]
    pub fn new(parts: &Parts, message: &NewMessage, file: &Attachment) -> Self {
        let (url, id) = (&parts.public_url, message.id);
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
            expires_at: time(later(message.created_at, parts.bodies_kept)),
            download_url: format!("{url}/emails/{id}/attachments/{}/content", file.id),
        }
    }
}

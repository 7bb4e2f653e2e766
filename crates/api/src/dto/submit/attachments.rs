//! Attachments in JSON. What they hold comes as base64, as a list of byte numbers, or as Node spells a `Buffer`; the reader
//! of JSON has made bytes of it already ([`json`](crate::dto::json)).

use std::sync::Arc;

use posthaste_domain::message::{ContentId, DraftAttachment, FileName, MAX_ATTACHMENTS, MediaType};

use crate::dto::{
    fields::{Field, Fields},
    json::Files,
    problems::Problems,
};

/// Reads the files that travel with a mail.
pub(super) fn read(
    fields: &mut Fields,
    contents: &mut Files,
    problems: &mut Problems,
) -> Vec<DraftAttachment> {
    let Some(field) = fields.take("attachments") else {
        return Vec::new();
    };
    let at = field.pointer.clone();
    let items = field.list(problems);
    if items.len() > MAX_ATTACHMENTS {
        problems.invalid(at, format!("at most {MAX_ATTACHMENTS} attachments"));
        return Vec::new();
    }
    let mut files: Vec<DraftAttachment> = Vec::new();
    for item in items {
        let at = item.pointer.clone();
        if let Some(file) = file(item, contents, problems) {
            let twice = |other: &DraftAttachment| {
                file.content_id.is_some() && other.content_id == file.content_id
            };
            if files.iter().any(twice) {
                let at = at.member("content_id");
                problems.invalid(at, "another attachment has this content id");
            }
            files.push(file);
        }
    }
    files
}

fn file(item: Field, contents: &mut Files, problems: &mut Problems) -> Option<DraftAttachment> {
    let mut fields = item.object(problems)?;
    let detail = "nothing is downloaded for a caller; send the file in `content`";
    let has_path = fields.refuse("path", detail, problems);
    let name = fields
        .require("filename", problems)
        .and_then(|name| name.parse::<FileName>(problems));
    let content = if has_path {
        fields.take("content")
    } else {
        fields.require("content", problems)
    };
    let bytes = content.and_then(|content| bytes(content, contents, problems));
    let media_type = fields
        .take("content_type")
        .map(|kind| kind.parse::<MediaType>(problems));
    let content_id = content_id(&mut fields, problems);
    fields.finish(problems);
    let name = name?;
    Some(DraftAttachment {
        media_type: match media_type {
            Some(given) => given?,
            None => guessed(&name),
        },
        name,
        content_id,
        bytes: Arc::new(bytes?),
    })
}

/// Two names of one member, one of which clients of an earlier release send.
fn content_id(fields: &mut Fields, problems: &mut Problems) -> Option<ContentId> {
    let newer = fields.take("content_id");
    let older = fields.take("inline_content_id");
    match (newer, older) {
        (Some(_), Some(older)) => {
            problems.invalid(older.pointer, "the same as `content_id`; give one of them");
            None
        }
        (newer, older) => newer.or(older)?.parse(problems),
    }
}

/// What the reader has put aside; whatever is wrong with it is known.
fn bytes(content: Field, files: &mut Files, problems: &mut Problems) -> Option<Vec<u8>> {
    let pointer = content.pointer.clone();
    let bytes = files.take(&content.text(problems)?);
    if bytes.is_none() {
        problems.invalid(
            pointer,
            "expected base64, or a list of numbers from 0 to 255",
        );
    }
    bytes
}

/// By the end of the name.
fn guessed(name: &FileName) -> MediaType {
    let guess = mime_guess::from_path(name.as_str()).first_raw();
    let guess = guess.and_then(|guess| guess.parse().ok());
    guess.unwrap_or_else(MediaType::unknown)
}

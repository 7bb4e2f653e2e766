//! The parts of a mail with attachments (RFC 2046 sections 5.1.3 to 5.1.4, RFC 2387).
//!
//! Pictures that the HTML shows stand beside it, in a part of their own below the alternative to the text: a reader that
//! shows the text does not offer them as files. Files come last, around all of it.

use base64::{Engine, engine::general_purpose::STANDARD};
use lettre::message::{
    Body, MultiPart, SinglePart,
    header::{ContentDisposition, ContentId, ContentTransferEncoding, ContentType},
};
use posthaste_domain::{
    buffer::buffer,
    message::{AttachedBytes, Attachment, NewMessage, encoded_size},
};

use super::{MimeError, build, part};
use crate::render::Rendered;

/// Bytes of one line of 76 characters (RFC 2045 section 6.8).
const LINE: usize = 57;

/// The mark that stands in a mail for what a file holds, until that is put in its place: no text of a mail holds it, for each
/// is encoded.
fn mark(message: &NewMessage, number: usize) -> String {
    format!("=_f{number}-{}", message.id.as_uuid().simple())
}

/// The bytes of a mail in which marks stand for files, with what these hold: written once, where it stays.
pub(super) fn filled(message: &NewMessage, marked: &[u8]) -> Result<Vec<u8>, MimeError> {
    let lost = || MimeError::Unsound("lost the place of an attachment");
    let mut found = Vec::new();
    let mut length = marked.len();
    for (number, file) in message.attachments.iter().enumerate() {
        let AttachedBytes::Here(bytes) = &file.bytes else {
            return Err(MimeError::Unsound("an attachment without what it holds"));
        };
        let mark = mark(message, number);
        let at = memchr::memmem::find(marked, mark.as_bytes()).ok_or_else(lost)?;
        found.push((at, at + mark.len(), bytes));
        length += usize::try_from(encoded_size(bytes.len() as u64)).unwrap_or(usize::MAX);
    }
    // Pictures come before files, in whatever order they were given.
    found.sort_by_key(|(at, ..)| *at);
    let mut out = buffer(length);
    let mut done = 0;
    for (begin, end, bytes) in found {
        out.extend_from_slice(marked.get(done..begin).ok_or_else(lost)?);
        base64(bytes, &mut out);
        done = end;
    }
    out.extend_from_slice(&marked[done..]);
    Ok(out)
}

/// What a mail says, with marks in place of what its files hold.
pub(super) fn parts(message: &NewMessage, rendered: &Rendered) -> Result<MultiPart, MimeError> {
    let marked = message.attachments.iter().enumerate();
    let marked = marked.map(|(number, file)| (file, mark(message, number)));
    let is_shown =
        |(file, _): &(&Attachment, String)| rendered.html.is_some() && file.content_id.is_some();
    let (shown, saved): (Vec<_>, Vec<_>) = marked.partition(is_shown);
    // None of these begins another one, for readers that compare no more than the beginning of a line.
    let boundary = |kind: &str| format!("=_{kind}{}", message.id.as_uuid().simple());
    let said = said(rendered, &shown, &boundary)?;
    if saved.is_empty()
        && let Said::Many(parts) = said
    {
        return Ok(parts);
    }
    let mixed = MultiPart::mixed().boundary(boundary("m"));
    let mixed = match said {
        Said::One(part) => mixed.singlepart(part),
        Said::Many(parts) => mixed.multipart(parts),
    };
    saved.into_iter().try_fold(mixed, |mixed, saved| {
        Ok(mixed.singlepart(file(&saved, Is::Saved)?))
    })
}

/// Text and HTML.
enum Said {
    One(SinglePart),
    Many(MultiPart),
}

fn said(
    rendered: &Rendered,
    shown: &[(&Attachment, String)],
    boundary: &dyn Fn(&str) -> String,
) -> Result<Said, MimeError> {
    let text = |text: &str| part(ContentType::TEXT_PLAIN, text);
    let html = |html: &str| -> Result<Said, MimeError> {
        let html = part(ContentType::TEXT_HTML, html)?;
        if shown.is_empty() {
            return Ok(Said::One(html));
        }
        let related = MultiPart::related().boundary(boundary("r"));
        let related = shown
            .iter()
            .try_fold(related.singlepart(html), |related, shown| {
                Ok::<_, MimeError>(related.singlepart(file(shown, Is::Shown)?))
            })?;
        Ok(Said::Many(related))
    };
    match (&rendered.text, &rendered.html) {
        (Some(plain), Some(rich)) => {
            let both = MultiPart::alternative().boundary(boundary("a"));
            let both = both.singlepart(text(plain)?);
            Ok(Said::Many(match html(rich)? {
                Said::One(part) => both.singlepart(part),
                Said::Many(parts) => both.multipart(parts),
            }))
        }
        (None, Some(rich)) => html(rich),
        (plain, None) => Ok(Said::One(text(plain.as_deref().unwrap_or_default())?)),
    }
}

/// What a reader does with a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    /// Shows it where the HTML says.
    Shown,
    /// Offers it.
    Saved,
}

fn file((attachment, mark): &(&Attachment, String), is: Is) -> Result<SinglePart, MimeError> {
    let name = attachment.name.as_str();
    let disposition = match is {
        Is::Shown => ContentDisposition::inline_with_name(name),
        Is::Saved => ContentDisposition::attachment(name),
    };
    let kind = ContentType::parse(attachment.media_type.as_str()).map_err(build)?;
    let mut builder = SinglePart::builder().header(kind).header(disposition);
    if let Some(id) = &attachment.content_id {
        builder = builder.header(ContentId::from(format!("<{}>", id.as_str())));
    }
    let encoding = ContentTransferEncoding::Base64;
    let body = Body::dangerous_pre_encoded(mark.clone().into_bytes(), encoding);
    Ok(builder.body(body))
}

/// Adds lines of base64, the last one without its end.
fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    for (number, line) in bytes.chunks(LINE).enumerate() {
        if number > 0 {
            out.extend_from_slice(b"\r\n");
        }
        let begin = out.len();
        out.resize(begin + line.len().div_ceil(3) * 4, 0);
        STANDARD
            .encode_slice(line, &mut out[begin..])
            .expect("four characters for three bytes");
    }
}

//! A submit in JSON -> a draft.
//!
//! Everything that is wrong is found at once: what a field says by itself, and what the desk says about streams,
//! templates and time. Members that this release does not serve may be absent or `null`; a value is refused, because
//! a mail that was meant for tomorrow, or without its attachment, must not go out now.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, Utc};
use posthaste_domain::{
    clock::Timestamp,
    desk::{DraftProblem, MailDesk},
    message::{
        Content, Draft, DraftContent, ExtraHeader, MAX_RECIPIENTS, Recipients, Subject, Tag,
        Variables,
    },
    owner::Owner,
    stream::StreamName,
};
use serde_json::Value;

use crate::dto::{
    address,
    fields::{Field, Fields},
    problems::{Pointer, Problems},
};

/// Most headers, and most tags, of one message.
pub const MAX_LABELS: usize = 50;
/// Most entries of metadata.
pub const MAX_METADATA: usize = 20;
/// Longest name of an entry of metadata, in characters.
pub const MAX_METADATA_NAME: usize = 64;
/// Longest value of an entry of metadata, in characters.
pub const MAX_METADATA_VALUE: usize = 512;
/// Most bytes of a template's data, as JSON.
pub const MAX_VARIABLES: usize = 64 * 1024;

/// A submit as far as it could be read. Where a field could not be, the draft holds a stand-in, which is why it is only
/// given away when nothing is wrong.
#[derive(Debug)]
pub struct Submit {
    draft: Draft,
    problems: Problems,
}

impl Submit {
    /// Reads a document whose own problems are already among `problems`.
    #[must_use]
    pub fn read(
        document: Value,
        mut problems: Problems,
        owner: Owner,
        default_stream: &StreamName,
    ) -> Self {
        let mut fields = Fields::of_document(document, &mut problems);
        let draft = read(&mut fields, owner, default_stream, &mut problems);
        for (name, detail) in [
            ("scheduled_at", "scheduling is not supported"),
            ("locale", "locales are not supported"),
            ("topic_id", "topics are not supported"),
        ] {
            fields.refuse(name, detail, &mut problems);
        }
        fields.finish(&mut problems);
        Self { draft, problems }
    }

    /// The draft, if nothing is wrong with it.
    ///
    /// # Errors
    /// All that is wrong, what `desk` finds included.
    pub fn into_draft(self, desk: &MailDesk) -> Result<Draft, Problems> {
        let Self { draft, problems } = self;
        if problems.is_empty() {
            return Ok(draft);
        }
        match desk.determine(draft) {
            Ok(_) => Err(problems),
            Err(found) => Err(with_desk(problems, found)),
        }
    }
}

/// What the desk found, beside what is known already: about a field that could not be read it speaks of the stand-in.
#[must_use]
pub fn with_desk(mut problems: Problems, found: Vec<DraftProblem>) -> Problems {
    let root = Pointer::root();
    for problem in found {
        let (pointer, missing) = match &problem {
            DraftProblem::UnknownStream(_) => (root.member("stream"), false),
            DraftProblem::UnknownTemplate(_) => (root.member("template").member("id"), false),
            DraftProblem::Variable(variable) => {
                let variables = root.member("template").member("variables");
                (variables.member(&variable.name), variable.missing)
            }
            DraftProblem::NoSender => (root.member("from"), true),
            DraftProblem::Expired => (root.member("expires_at"), false),
        };
        let detail = match problem {
            DraftProblem::Variable(variable) => variable.detail,
            DraftProblem::UnknownStream(_)
            | DraftProblem::UnknownTemplate(_)
            | DraftProblem::NoSender
            | DraftProblem::Expired => problem.to_string(),
        };
        if problems.has(&pointer) {
            continue;
        }
        if missing {
            problems.missing(pointer, detail);
        } else {
            problems.invalid(pointer, detail);
        }
    }
    problems
}

fn read(
    fields: &mut Fields,
    owner: Owner,
    default_stream: &StreamName,
    problems: &mut Problems,
) -> Draft {
    let from = fields
        .take("from")
        .and_then(|from| address::read_one(from, problems));
    let recipients = recipients(fields, problems);
    let reply_to = fields.take("reply_to");
    let reply_to = reply_to.map(|field| address::read_many(field, problems));
    let content = content(fields, problems);
    let stream = fields
        .take("stream")
        .and_then(|stream| stream.parse(problems));
    no_attachments(fields, problems);
    Draft {
        owner,
        stream: stream.unwrap_or_else(|| default_stream.clone()),
        from,
        recipients,
        reply_to: reply_to.unwrap_or_default(),
        content,
        headers: headers(fields, problems),
        tags: tags(fields, problems),
        metadata: metadata(fields, problems),
        expires_at: fields
            .take("expires_at")
            .and_then(|time| time_with_offset(time, problems)),
    }
}

fn recipients(fields: &mut Fields, problems: &mut Problems) -> Recipients {
    let at = fields.pointer("to");
    let to = fields.require("to", problems);
    let to_is_empty = to
        .as_ref()
        .is_some_and(|to| to.value == Value::Array(Vec::new()));
    if to_is_empty {
        problems.invalid(at.clone(), "at least one recipient is needed");
    }
    let mut many = |field: Option<Field>| {
        field
            .map(|field| address::read_many(field, problems))
            .unwrap_or_default()
    };
    let recipients = Recipients {
        to: many(to),
        cc: many(fields.take("cc")),
        bcc: many(fields.take("bcc")),
    };
    if recipients.count() > MAX_RECIPIENTS {
        let detail = format!("at most {MAX_RECIPIENTS} recipients in all, with cc and bcc");
        problems.invalid(at, detail);
    }
    recipients
}

fn content(fields: &mut Fields, problems: &mut Problems) -> DraftContent {
    let subject = subject(fields, problems);
    let html = fields.take("html");
    let text = fields.take("text");
    if let Some(template) = fields.take("template") {
        for part in [html, text].into_iter().flatten() {
            if part.value != Value::String(String::new()) {
                problems.invalid(part.pointer, "not together with a template");
            }
        }
        return self::template(template, subject, problems).unwrap_or_else(stand_in);
    }
    let asked_for = html.is_some() || text.is_some();
    let html = html
        .and_then(|html| html.text(problems))
        .filter(|html| !html.is_empty());
    let text = text.and_then(|text| text.text(problems));
    let nothing_to_show = html.is_none() && text.as_ref().is_none_or(String::is_empty);
    let (html_at, subject_at) = (fields.pointer("html"), fields.pointer("subject"));
    let unreadable = asked_for && (problems.has(&html_at) || problems.has(&fields.pointer("text")));
    if nothing_to_show && !unreadable {
        problems.missing(html_at, "html or text is required, or a template");
    }
    if subject.is_none() && !problems.has(&subject_at) {
        problems.missing(subject_at, "required");
    }
    let Some(subject) = subject else {
        return stand_in();
    };
    DraftContent::Inline(Content::Inline {
        subject,
        html,
        text,
    })
}

/// Content that the desk finds nothing wrong with.
fn stand_in() -> DraftContent {
    DraftContent::Inline(Content::Inline {
        subject: "-".parse().expect("a hyphen is a subject"),
        html: None,
        text: None,
    })
}

/// An empty subject counts as absent: one of the published clients always sends the member.
fn subject(fields: &mut Fields, problems: &mut Problems) -> Option<Subject> {
    let field = fields.take("subject")?;
    if field.value == Value::String(String::new()) {
        return None;
    }
    field.parse(problems)
}

fn template(
    field: Field,
    subject: Option<Subject>,
    problems: &mut Problems,
) -> Option<DraftContent> {
    let mut fields = field.object(problems)?;
    let name = fields
        .require("id", problems)
        .and_then(|name| name.parse(problems));
    let variables = match fields.take("variables") {
        Some(variables) => variables_of(variables, problems),
        None => Variables::new(),
    };
    fields.finish(problems);
    Some(DraftContent::Template {
        name: name?,
        subject,
        variables,
    })
}

fn variables_of(field: Field, problems: &mut Problems) -> Variables {
    let size = field.value.to_string().len();
    if size > MAX_VARIABLES {
        let detail = format!("at most {} KiB of data", MAX_VARIABLES / 1024);
        problems.invalid(field.pointer.clone(), detail);
    }
    let members = field.entries(problems).into_iter();
    members.map(|(name, field)| (name, field.value)).collect()
}

fn headers(fields: &mut Fields, problems: &mut Problems) -> Vec<ExtraHeader> {
    let Some(field) = fields.take("headers") else {
        return Vec::new();
    };
    let at = field.pointer.clone();
    let entries = field.entries(problems);
    bounded(entries.len(), MAX_LABELS, "headers", at, problems);
    let read = entries.into_iter().filter_map(|(name, field)| {
        let pointer = field.pointer.clone();
        let header = ExtraHeader::new(&name, &field.text(problems)?);
        header
            .map_err(|error| problems.invalid(pointer, error.to_string()))
            .ok()
    });
    read.collect()
}

fn tags(fields: &mut Fields, problems: &mut Problems) -> Vec<Tag> {
    let Some(field) = fields.take("tags") else {
        return Vec::new();
    };
    let at = field.pointer.clone();
    let items = field.list(problems);
    bounded(items.len(), MAX_LABELS, "tags", at, problems);
    items
        .into_iter()
        .filter_map(|item| tag(item, problems))
        .collect()
}

fn tag(item: Field, problems: &mut Problems) -> Option<Tag> {
    let pointer = item.pointer.clone();
    let mut fields = item.object(problems)?;
    let name = fields
        .require("name", problems)
        .and_then(|name| name.text(problems));
    let value = fields
        .require("value", problems)
        .and_then(|value| value.text(problems));
    fields.finish(problems);
    Tag::new(&name?, &value?)
        .map_err(|error| problems.invalid(pointer, error.to_string()))
        .ok()
}

fn metadata(fields: &mut Fields, problems: &mut Problems) -> BTreeMap<String, String> {
    let Some(field) = fields.take("metadata") else {
        return BTreeMap::new();
    };
    let at = field.pointer.clone();
    let entries = field.entries(problems);
    bounded(entries.len(), MAX_METADATA, "entries", at, problems);
    let read = entries.into_iter().filter_map(|(name, field)| {
        let pointer = field.pointer.clone();
        let value = field.text(problems)?;
        let fits = (1..=MAX_METADATA_NAME).contains(&name.chars().count())
            && value.chars().count() <= MAX_METADATA_VALUE;
        if !fits {
            let detail = format!(
                "names have 1 to {MAX_METADATA_NAME} characters, values at most {MAX_METADATA_VALUE}"
            );
            problems.invalid(pointer, detail);
        }
        fits.then_some((name, value))
    });
    read.collect()
}

fn bounded(count: usize, most: usize, what: &str, at: Pointer, problems: &mut Problems) {
    if count > most {
        problems.invalid(at, format!("at most {most} {what}"));
    }
}

/// A time that says which one it is: RFC 3339 with `Z` or an offset, cut to the microseconds that are stored.
fn time_with_offset(field: Field, problems: &mut Problems) -> Option<Timestamp> {
    let pointer = field.pointer.clone();
    match DateTime::parse_from_rfc3339(&field.text(problems)?) {
        Ok(time) => Some(time.with_timezone(&Utc).trunc_subsecs(6)),
        Err(_) => {
            problems.invalid(
                pointer,
                "expected a time like 2026-12-01T09:00:00Z, with Z or an offset",
            );
            None
        }
    }
}

/// An empty list asks for nothing.
fn no_attachments(fields: &mut Fields, problems: &mut Problems) {
    if let Some(field) = fields.take("attachments")
        && field.value != Value::Array(Vec::new())
    {
        problems.invalid(field.pointer, "attachments are not supported");
    }
}

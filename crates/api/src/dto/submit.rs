//! A submit in JSON -> a draft.
//!
//! Everything that is wrong is found at once: what a field says by itself, and what the desk says about streams,
//! templates and time. Members that this release does not serve may be absent or `null`; a value is refused, because
//! a mail that was meant for a reader of another language must not go out in this one.

mod attachments;
mod content;
mod labels;

use chrono::{DateTime, SubsecRound, Utc};
pub use content::MAX_VARIABLES;
pub use labels::{MAX_LABELS, MAX_METADATA, MAX_METADATA_NAME, MAX_METADATA_VALUE};
use posthaste_domain::{
    clock::Timestamp,
    desk::{DraftProblem, MailDesk},
    message::{Draft, MAX_RECIPIENTS, Recipients},
    owner::Owner,
    stream::StreamName,
};
use serde_json::Value;

use crate::dto::{
    address,
    fields::{Field, Fields},
    json::Files,
    problems::{Pointer, Problems},
};

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
        files: &mut Files,
        mut problems: Problems,
        owner: Owner,
        default_stream: &StreamName,
    ) -> Self {
        let mut fields = Fields::of_document(document, &mut problems);
        let draft = read(&mut fields, files, owner, default_stream, &mut problems);
        for (name, detail) in [
            ("locale", "locales are not supported"),
            ("topic_id", "topics are not supported"),
        ] {
            fields.refuse(name, detail, &mut problems);
        }
        fields.finish(&mut problems);
        Self { draft, problems }
    }

    /// The draft, if nothing is wrong with it by itself.
    #[must_use]
    pub fn draft(&self) -> Option<&Draft> {
        self.problems.is_empty().then_some(&self.draft)
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
            DraftProblem::Subject(_) => (root.member("template").member("variables"), false),
            DraftProblem::NoSender => (root.member("from"), true),
            DraftProblem::Expired => (root.member("expires_at"), false),
            DraftProblem::TooLarge(_) => (root.member("attachments"), false),
            DraftProblem::NotDue(_) => (root.member("scheduled_at"), false),
            DraftProblem::Unsubscribe(name, _) => (root.member("headers").member(name), false),
        };
        let detail = match problem {
            DraftProblem::Variable(variable) => variable.detail,
            DraftProblem::Unsubscribe(_, why) => why.to_string(),
            DraftProblem::UnknownStream(_)
            | DraftProblem::UnknownTemplate(_)
            | DraftProblem::Subject(_)
            | DraftProblem::NoSender
            | DraftProblem::NotDue(_)
            | DraftProblem::TooLarge(_)
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
    files: &mut Files,
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
    let content = content::read(fields, problems);
    let stream = fields
        .take("stream")
        .and_then(|stream| stream.parse(problems));
    Draft {
        owner,
        stream: stream.unwrap_or_else(|| default_stream.clone()),
        from,
        recipients,
        reply_to: reply_to.unwrap_or_default(),
        content,
        attachments: attachments::read(fields, files, problems),
        headers: labels::read_headers(fields, problems),
        tags: labels::read_tags(fields, problems),
        metadata: labels::read_metadata(fields, problems),
        scheduled_at: fields
            .take("scheduled_at")
            .and_then(|when| when.parse(problems)),
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
    recipients.merged()
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

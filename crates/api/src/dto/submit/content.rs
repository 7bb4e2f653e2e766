//! What a mail says, in JSON -> the content of a draft.

use posthaste_domain::message::{AtRest, Content, DraftContent, Subject, Variables};
use serde_json::Value;

use crate::dto::{
    fields::{Field, Fields},
    problems::Problems,
};

/// Most bytes of a template's data, as JSON.
pub const MAX_VARIABLES: usize = 64 * 1024;

/// Reads what a mail says: subject and body, or a template. Where it could not be read, a stand-in is returned.
pub(super) fn read(fields: &mut Fields, problems: &mut Problems) -> DraftContent {
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
        at_rest: AtRest::Plain,
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

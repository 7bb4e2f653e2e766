//! What a draft says: given whole, or by the version of a template that is current now.

use super::{DraftProblem, MailDesk};
use crate::{
    address::Mailbox,
    message::{AtRest, Content, DraftContent},
    template::PinError,
};

impl MailDesk {
    pub(super) fn content(
        &self,
        content: DraftContent,
        problems: &mut Vec<DraftProblem>,
    ) -> (Option<Content>, Defaults) {
        let (name, subject, variables, at_rest) = match content {
            DraftContent::Inline(content) => return (Some(content), Defaults::of(None, None)),
            DraftContent::Template {
                name,
                subject,
                variables,
                at_rest,
            } => (name, subject, variables, at_rest),
        };
        match self.templates.pin(&name, &variables) {
            Ok(pinned) => {
                let subject = match (subject, pinned.subject) {
                    (Some(given), _) => Some(given),
                    (None, Ok(_)) if at_rest == AtRest::Sealed => None,
                    (None, Ok(rendered)) => Some(rendered),
                    (None, Err(detail)) => {
                        problems.push(DraftProblem::Subject(detail));
                        None
                    }
                };
                let content = Content::Template {
                    template: pinned.reference,
                    subject,
                    variables,
                    at_rest,
                };
                (Some(content), Defaults::of(pinned.from, pinned.reply_to))
            }
            Err(PinError::Unknown(name)) => {
                problems.push(DraftProblem::UnknownTemplate(name));
                (None, Defaults::default())
            }
            Err(PinError::Variables(all)) => {
                problems.extend(all.into_iter().map(DraftProblem::Variable));
                (None, Defaults::default())
            }
        }
    }
}

/// What the content says about sender and answers; `known` is false when the template could not be looked up, so that a
/// missing sender is not reported on top of that.
#[derive(Default)]
pub(super) struct Defaults {
    pub(super) known: bool,
    pub(super) from: Option<Mailbox>,
    pub(super) reply_to: Vec<Mailbox>,
}

impl Defaults {
    fn of(from: Option<Mailbox>, reply_to: Option<Mailbox>) -> Self {
        Self {
            known: true,
            from,
            reply_to: reply_to.into_iter().collect(),
        }
    }
}

//! A list of submits in JSON -> messages.

use posthaste_domain::{desk::MailDesk, message::NewMessage, owner::Owner, stream::StreamName};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    auth::Caller,
    dto::{
        fingerprint,
        json::Read,
        problems::{Pointer, Problems},
        submit::{Submit, with_desk},
    },
    error::ApiError,
};

/// Most mails of one batch.
pub const MAX_BATCH: usize = 100;

/// What one mail that cannot be taken means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All or none.
    Strict,
    /// The others are taken.
    Permissive,
}

/// Submits as far as they could be read.
#[derive(Debug)]
pub struct Batch(Vec<Item>);

#[derive(Debug)]
struct Item {
    submit: Submit,
    /// Of what was sent, which tells repeats apart where there is no draft.
    sent: [u8; 32],
}

/// What of a batch is taken.
#[derive(Debug)]
pub struct Taken {
    /// To be stored.
    pub messages: Vec<NewMessage>,
    /// To be answered.
    pub answer: BatchAnswer,
}

/// The answer to a batch.
#[derive(Debug, Serialize)]
pub struct BatchAnswer {
    data: Vec<IdAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<ItemError>>,
}

#[derive(Debug, Serialize)]
struct IdAnswer {
    id: String,
}

#[derive(Debug, Serialize)]
struct ItemError {
    index: usize,
    message: String,
}

impl Batch {
    /// Reads a document whose own problems are already among `problems`.
    ///
    /// # Errors
    /// If it is no list of 1 to 100 items.
    pub fn read(
        (document, mut problems, mut files): Read,
        owner: &Owner,
        default_stream: &StreamName,
    ) -> Result<Self, ApiError> {
        let items = match document {
            Value::Array(items) if (1..=MAX_BATCH).contains(&items.len()) => items,
            _ => {
                let detail = format!("expected a list of 1 to {MAX_BATCH} mails");
                problems.invalid(Pointer::root(), detail);
                return Err(problems.into());
            }
        };
        let items = items.into_iter().enumerate().map(|(index, value)| {
            let own = problems.of_item(index);
            let sent = Sha256::digest(value.to_string()).into();
            let submit = Submit::read(value, &mut files, own, owner.clone(), default_stream);
            Item { submit, sent }
        });
        Ok(Self(items.collect()))
    }

    /// SHA-256 of all items: a repeat is the same mails in the same order, under the same mode.
    #[must_use]
    pub fn fingerprint(&self, mode: Mode) -> [u8; 32] {
        let mut all = Sha256::new();
        all.update(match mode {
            Mode::Strict => b"strict",
            Mode::Permissive => b"permis",
        });
        for Item { submit, sent } in &self.0 {
            match submit.draft() {
                Some(draft) => {
                    all.update(b"d");
                    all.update(fingerprint::of(draft));
                }
                None => {
                    all.update(b"s");
                    all.update(sent);
                }
            }
        }
        all.finalize().into()
    }

    /// The messages of those that can be taken.
    ///
    /// # Errors
    /// In strict mode all that is wrong with any of them; in either what the key may not do.
    pub fn determine(
        self,
        desk: &MailDesk,
        caller: &Caller,
        mode: Mode,
    ) -> Result<Taken, ApiError> {
        let (mut messages, mut data, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        let mut all = Problems::default();
        for (index, Item { submit, .. }) in self.0.into_iter().enumerate() {
            if let Some(draft) = submit.draft() {
                caller.may_submit(draft)?;
            }
            let determined = submit.into_draft(desk).and_then(|draft| {
                desk.determine(draft)
                    .map_err(|found| with_desk(Problems::default(), found))
            });
            match (determined, mode) {
                (Ok(message), _) => {
                    data.push(IdAnswer {
                        id: message.id.to_string(),
                    });
                    messages.push(message);
                }
                (Err(problems), Mode::Strict) => all.add_item(index, problems),
                (Err(problems), Mode::Permissive) => errors.push(ItemError {
                    index,
                    message: ApiError::from(problems).message(),
                }),
            }
        }
        if !all.is_empty() {
            return Err(all.into());
        }
        let errors = (mode == Mode::Permissive).then_some(errors);
        Ok(Taken {
            messages,
            answer: BatchAnswer { data, errors },
        })
    }
}

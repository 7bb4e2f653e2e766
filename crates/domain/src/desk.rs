//! The mail desk: turns a draft into a message that is determined byte for byte, and has it stored.

mod content;
mod problem;

use std::{sync::Arc, time::Duration};

pub use self::problem::{DraftProblem, SubmitError};
use crate::{
    clock::{Clock, Timestamp, later},
    id::{AttachmentId, DeliveryId, MessageId},
    idempotency::{Answer, Idempotency, Keyed},
    message::{
        AttachedBytes, Attachment, Draft, InternetMessageId, MAX_MESSAGE, NewDelivery, NewMessage,
        NotDue, Recipients, When, check_unsubscribe,
    },
    owner::Owner,
    stores::{Accepted, MessageStore, StoreError},
    stream::{StreamName, Streams},
    template::TemplateCatalog,
};

/// How a submit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted {
    /// On disk.
    Stored(MessageId),
    /// In memory, as its stream wants it.
    InMemory(MessageId),
    /// Dropped at once: the memory of its stream is full.
    Dropped(MessageId),
}

/// How a submit under an idempotency key ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Once {
    /// It was accepted now.
    Now(Answer),
    /// It had been accepted before, with this answer.
    Before(Answer),
    /// The key stands for another request.
    KeyReused,
    /// The first request under the key has not ended yet.
    InProgress,
}

/// An instant, and how long it is until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The instant.
    pub at: Timestamp,
    /// The wait.
    pub wait: Duration,
}

/// Takes drafts.
#[derive(Debug)]
pub struct MailDesk {
    store: Arc<dyn MessageStore>,
    templates: Arc<dyn TemplateCatalog>,
    streams: Streams,
    clock: Arc<dyn Clock>,
}

impl MailDesk {
    /// A desk that stores to `store`.
    #[must_use]
    pub fn new(
        store: Arc<dyn MessageStore>,
        templates: Arc<dyn TemplateCatalog>,
        streams: Streams,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            templates,
            streams,
            clock,
        }
    }

    /// A desk with the same templates and streams that stores elsewhere.
    #[must_use]
    pub fn storing_to(&self, store: Arc<dyn MessageStore>) -> Self {
        Self::new(
            store,
            Arc::clone(&self.templates),
            self.streams.clone(),
            Arc::clone(&self.clock),
        )
    }

    /// Accepts a draft: when this returns [`Submitted::Stored`], the message is on disk.
    ///
    /// # Errors
    /// [`SubmitError::Invalid`] with every reason at once, before anything is stored; [`SubmitError::Store`] if the
    /// store failed.
    pub async fn submit(&self, draft: Draft) -> Result<Submitted, SubmitError> {
        let message = self.determine(draft).map_err(SubmitError::Invalid)?;
        let id = message.id;
        Ok(match self.store.accept(message, None).await? {
            Accepted::InMemory => Submitted::InMemory(id),
            Accepted::Dropped => Submitted::Dropped(id),
            // The others come under a key only.
            Accepted::Stored
            | Accepted::Replayed(_)
            | Accepted::KeyReused
            | Accepted::InProgress => Submitted::Stored(id),
        })
    }

    /// Accepts a draft unless a request under the same key was accepted before; `answer` is what the submitter is told
    /// of the message, and what is kept with the key. A repeat gets its answer even where the draft could not be
    /// accepted any more, because its time is over or its template was changed. It is stored whatever its stream: a key
    /// is a promise.
    ///
    /// # Errors
    /// As [`MailDesk::submit`]; after an error the key is free.
    pub async fn submit_once(
        &self,
        draft: Draft,
        request: Idempotency,
        answer: impl FnOnce(MessageId) -> Answer + Send,
    ) -> Result<Once, SubmitError> {
        let owner = draft.owner.clone();
        let message = match self.determine(draft) {
            Ok(message) => message,
            Err(problems) => {
                return match self.store.answered(&owner, &request).await? {
                    Some(answer) => Ok(Once::Before(answer)),
                    None => Err(SubmitError::Invalid(problems)),
                };
            }
        };
        let answer = answer(message.id);
        let keyed = Keyed {
            request,
            answer: answer.clone(),
        };
        let accepted = self.store.accept(message, Some(keyed)).await?;
        Ok(once(accepted, answer))
    }

    /// Accepts messages of one owner, determined here: when this returns, all of them are on disk.
    ///
    /// # Errors
    /// [`StoreError`]; then none of them is stored.
    pub async fn submit_all(&self, messages: Vec<NewMessage>) -> Result<(), StoreError> {
        self.store.accept_all(messages, None).await.map(drop)
    }

    /// The same, unless a request under the same key was accepted before; `answer` is what is kept with the key.
    ///
    /// # Errors
    /// As [`MailDesk::submit_all`]; after an error the key is free.
    pub async fn submit_all_once(
        &self,
        messages: Vec<NewMessage>,
        request: Idempotency,
        answer: Answer,
    ) -> Result<Once, StoreError> {
        let keyed = Keyed {
            request,
            answer: answer.clone(),
        };
        let accepted = self.store.accept_all(messages, Some(keyed)).await?;
        Ok(once(accepted, answer))
    }

    /// The answer to this very request of this owner, if it was accepted before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn answered(
        &self,
        owner: &Owner,
        request: &Idempotency,
    ) -> Result<Option<Answer>, StoreError> {
        self.store.answered(owner, request).await
    }

    /// Fixes all that would vary between two renderings: ids, `Message-ID`, `Date`, template version.
    ///
    /// # Errors
    /// Every reason why the draft cannot be sent.
    pub fn determine(&self, draft: Draft) -> Result<NewMessage, Vec<DraftProblem>> {
        let now = self.clock.now();
        let mut problems = Vec::new();
        let scheduled_at = draft.scheduled_at.map_or(Ok(None), |when| when.from(now));
        let scheduled_at = scheduled_at.unwrap_or_else(|not_due| {
            problems.push(not_due.into());
            None
        });
        let due_at = scheduled_at.unwrap_or(now);
        let expires_at = self.expiry(&draft, due_at, &mut problems);
        let (content, defaults) = self.content(draft.content, &mut problems);
        let from = draft.from.or(defaults.from);
        if from.is_none() && defaults.known {
            problems.push(DraftProblem::NoSender);
        }
        let ways_out = check_unsubscribe(&draft.headers).into_iter();
        problems.extend(ways_out.map(|(name, why)| DraftProblem::Unsubscribe(name, why)));
        let (Some(from), Some(content), Some(expires_at), true) =
            (from, content, expires_at, problems.is_empty())
        else {
            return Err(problems);
        };
        let id = MessageId::new(now);
        let attachments = draft.attachments.into_iter().map(|file| Attachment {
            id: AttachmentId::new(now),
            name: file.name,
            media_type: file.media_type,
            content_id: file.content_id,
            bytes: AttachedBytes::Here(file.bytes),
        });
        let reply_to = if draft.reply_to.is_empty() {
            defaults.reply_to
        } else {
            draft.reply_to
        };
        let message = NewMessage {
            id,
            owner: draft.owner,
            stream: draft.stream,
            message_id: InternetMessageId::of(id, from.address()),
            from,
            deliveries: deliveries(&draft.recipients, now),
            recipients: draft.recipients,
            reply_to,
            content,
            attachments: attachments.collect(),
            headers: draft.headers,
            tags: draft.tags,
            metadata: draft.metadata,
            created_at: now,
            scheduled_at,
            expires_at,
        };
        match message.wire_size() {
            fits if fits <= MAX_MESSAGE => Ok(message),
            size => Err(vec![DraftProblem::TooLarge(size)]),
        }
    }

    /// A message of the same content, under ids of its own, that is due now and expires as its stream says. What its
    /// attachments hold is there.
    ///
    /// # Errors
    /// [`DraftProblem::UnknownStream`].
    pub fn again(&self, message: NewMessage) -> Result<NewMessage, DraftProblem> {
        let now = self.clock.now();
        let policy = self.streams.get(&message.stream);
        let policy = policy.ok_or_else(|| DraftProblem::UnknownStream(message.stream.clone()))?;
        let id = MessageId::new(now);
        let attachments = message.attachments.into_iter().map(|file| Attachment {
            id: AttachmentId::new(now),
            ..file
        });
        Ok(NewMessage {
            id,
            message_id: InternetMessageId::of(id, message.from.address()),
            deliveries: deliveries(&message.recipients, now),
            attachments: attachments.collect(),
            created_at: now,
            scheduled_at: None,
            expires_at: later(now, policy.expiry),
            ..message
        })
    }

    /// When a scheduled mail is due that is moved; now, where that is what is said.
    ///
    /// # Errors
    /// [`NotDue`].
    pub fn due(&self, when: When) -> Result<Due, NotDue> {
        let now = self.clock.now();
        let at = when.from(now)?.unwrap_or(now);
        let wait = (at - now).to_std().unwrap_or_default();
        Ok(Due { at, wait })
    }

    /// How long mail of a stream is tried that does not say so itself.
    #[must_use]
    pub fn usual_expiry(&self, stream: &StreamName) -> Option<Duration> {
        Some(self.streams.get(stream)?.expiry)
    }

    fn expiry(
        &self,
        draft: &Draft,
        due_at: Timestamp,
        problems: &mut Vec<DraftProblem>,
    ) -> Option<Timestamp> {
        let Some(policy) = self.streams.get(&draft.stream) else {
            problems.push(DraftProblem::UnknownStream(draft.stream.clone()));
            return None;
        };
        match draft.expires_at {
            Some(given) if given <= due_at => {
                problems.push(DraftProblem::Expired);
                None
            }
            Some(given) => Some(given),
            None => Some(later(due_at, policy.expiry)),
        }
    }
}

/// How a submit under a key ended.
fn once(accepted: Accepted, answer: Answer) -> Once {
    match accepted {
        Accepted::Stored | Accepted::InMemory | Accepted::Dropped => Once::Now(answer),
        Accepted::Replayed(first) => Once::Before(first),
        Accepted::KeyReused => Once::KeyReused,
        Accepted::InProgress => Once::InProgress,
    }
}

/// One for each recipient.
fn deliveries(recipients: &Recipients, now: Timestamp) -> Vec<NewDelivery> {
    let delivery = |recipient| NewDelivery {
        id: DeliveryId::new(now),
        recipient,
    };
    recipients.envelope().cloned().map(delivery).collect()
}

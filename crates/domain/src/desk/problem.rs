//! Why a draft is not accepted.

use crate::{
    message::{InvalidUnsubscribe, MAX_MESSAGE, NotDue},
    stores::StoreError,
    stream::StreamName,
    template::VariableProblem,
};

/// One reason why a draft cannot become a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftProblem {
    /// No stream of this name is configured.
    #[error("there is no stream `{0}`")]
    UnknownStream(StreamName),
    /// No template of this name.
    #[error("there is no template `{0}`")]
    UnknownTemplate(crate::template::TemplateName),
    /// A variable is missing or of another type.
    #[error("variable `{}`: {}", .0.name, .0.detail)]
    Variable(VariableProblem),
    /// With this data the template has no valid subject.
    #[error("the subject: {0}")]
    Subject(String),
    /// Neither the draft nor its template names a sender.
    #[error("no sender is given, and the template names none")]
    NoSender,
    /// Its time is over already.
    #[error("the expiry is in the past, or before the mail is due")]
    Expired,
    /// It cannot be kept until its time.
    #[error(transparent)]
    NotDue(#[from] NotDue),
    /// Servers would not take it.
    #[error("with its attachments encoded it has about {0} bytes; at most {MAX_MESSAGE} are taken")]
    TooLarge(u64),
    /// A header by which people leave a list, of this name.
    #[error("the header {0}: {1}")]
    Unsubscribe(String, InvalidUnsubscribe),
}

/// Why a draft was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The draft itself, with every reason at once.
    #[error("the message cannot be accepted")]
    Invalid(Vec<DraftProblem>),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

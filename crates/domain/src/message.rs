//! Messages. A [`NewMessage`] is determined byte for byte: everything that would vary between two renderings
//! (`Message-ID`, `Date`, template version) is fixed when it is made, before it is stored.

mod due;
mod message_id;
mod new_message;
mod part;
mod unsubscribe;

pub use due::{GRACE, HORIZON, InvalidWhen, NotDue, When};
pub use message_id::{InternetMessageId, InvalidMessageId};
pub use new_message::{Draft, DraftContent, MAX_RECIPIENTS, NewDelivery, NewMessage, Recipients};
pub use part::{
    AtRest, Content, ExtraHeader, InvalidHeader, InvalidSubject, InvalidTag, MAX_HEADER_NAME,
    MAX_HEADER_VALUE, MAX_SUBJECT, Subject, Tag, Variables,
};
pub use unsubscribe::{
    InvalidUnsubscribe, LIST_UNSUBSCRIBE, LIST_UNSUBSCRIBE_POST, MAX_LIST_UNSUBSCRIBE,
    check_unsubscribe,
};

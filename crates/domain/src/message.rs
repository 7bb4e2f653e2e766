//! Messages. A [`NewMessage`] is determined byte for byte: everything that would vary between two renderings
//! (`Message-ID`, `Date`, template version) is fixed when it is made, before it is stored.

mod attachment;
mod due;
mod message_id;
mod new_message;
mod part;
mod unsubscribe;

pub use attachment::{
    AttachedBytes, Attachment, ContentId, DraftAttachment, FileName, InvalidContentId,
    InvalidFileName, InvalidMediaType, MAX_ATTACHMENTS, MAX_CONTENT_ID, MAX_FILE_NAME,
    MAX_MEDIA_TYPE, MediaType, encoded_size,
};
pub use due::{GRACE, HORIZON, InvalidWhen, NotDue, When};
pub use message_id::{InternetMessageId, InvalidMessageId};
pub use new_message::{
    Draft, DraftContent, MAX_MESSAGE, MAX_RECIPIENTS, NewDelivery, NewMessage, Recipients,
};
pub use part::{
    AtRest, Content, ExtraHeader, InvalidHeader, InvalidSubject, InvalidTag, MAX_HEADER_NAME,
    MAX_HEADER_VALUE, MAX_SUBJECT, Subject, Tag, Variables,
};
pub use unsubscribe::{
    InvalidUnsubscribe, LIST_UNSUBSCRIBE, LIST_UNSUBSCRIBE_POST, MAX_LIST_UNSUBSCRIBE,
    check_unsubscribe,
};

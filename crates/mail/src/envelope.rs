//! The envelope (RFC 5321 section 2.3.1): who a transport is told, apart from what the headers show.

use posthaste_domain::{
    address::EmailAddress, id::MessageId, message::NewMessage, stores::OpenDelivery,
    stream::StreamName,
};

/// Sender and recipients of one run, with what a transport that keeps mail notes beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The message: names files, and joins log lines.
    pub id: MessageId,
    /// MAIL FROM.
    pub sender: EmailAddress,
    /// RCPT TO, each address once.
    pub recipients: Vec<EmailAddress>,
    /// The stream it was accepted for.
    pub stream: StreamName,
    /// The transport that it may have been delivered by already: where there are several, it goes by no other.
    pub stay_with: Option<String>,
}

impl Envelope {
    /// The envelope of `message` to those of its recipients that are still open.
    #[must_use]
    pub fn of(message: &NewMessage, open: &[OpenDelivery]) -> Self {
        let recipients = open.iter().map(|open| open.recipient.clone()).collect();
        let stay_with = open
            .iter()
            .find_map(|open| open.doubt.as_ref()?.transport.clone());
        Self {
            id: message.id,
            sender: message.from.address().clone(),
            recipients,
            stay_with,
            stream: message.stream.clone(),
        }
    }
}

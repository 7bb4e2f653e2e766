//! Identifiers: one type per kind of thing, so that a user's id cannot stand where a message's is asked.
//!
//! All are UUIDv7 (RFC 9562 section 5.7). Their order is for display and for neighbouring rows on disk; no correctness
//! hangs on it, because clocks differ between nodes and may be set back.

use std::{
    fmt,
    str::FromStr,
    sync::{LazyLock, Mutex},
};

use uuid::{ContextV7, Uuid};

use crate::clock::Timestamp;

/// Counts within one millisecond, so that ids made by one process are strictly ascending.
static SEQUENCE: LazyLock<Mutex<ContextV7>> = LazyLock::new(|| Mutex::new(ContextV7::new()));

/// Text that is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct InvalidId;

fn new_v7(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(
        &*SEQUENCE,
        seconds,
        now.timestamp_subsec_nanos(),
    ))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, ascending within this process.
            #[must_use]
            pub fn new(now: Timestamp) -> Self {
                Self(new_v7(now))
            }

            /// The id that was stored as `uuid`.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare value, for storage and for the wire.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)
            }
        }
    };
}

id! {
    /// A message as accepted.
    MessageId
}
id! {
    /// One message to one recipient.
    DeliveryId
}
id! {
    /// A file that travels with a message.
    AttachmentId
}
id! {
    /// An account.
    UserId
}
id! {
    /// An API key that is stored.
    KeyId
}
id! {
    /// A log-in, from its first tokens to its end.
    SessionId
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SystemClock};

    #[test]
    fn ids_of_one_process_ascend_even_within_a_millisecond() {
        let now = SystemClock.now();
        let ids: Vec<_> = (0..1000).map(|_| MessageId::new(now)).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn an_id_survives_its_text() {
        let id = UserId::new(SystemClock.now());
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("42".parse::<UserId>(), Err(InvalidId));
    }
}

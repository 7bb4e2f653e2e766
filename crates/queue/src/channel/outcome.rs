//! What can become of a value, and of the values so far.

use std::fmt;

/// What a full channel does with one more value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FullMode {
    /// The producer waits for a place: back-pressure. Producers are served in the order in which they came.
    #[default]
    Wait,
    /// The value that entered last makes room.
    DropNewest,
    /// The value that entered first makes room.
    DropOldest,
    /// The value that would enter is dropped.
    DropWrite,
}

/// What became of a value that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is in the channel.
    Stored,
    /// It is in the channel, and another was dropped for it.
    Displaced,
    /// It was dropped itself.
    Dropped,
}

/// The channel is closed; the value comes back.
#[derive(PartialEq, Eq, thiserror::Error)]
#[error("the channel is closed")]
pub struct Closed<T>(pub T);

impl<T> fmt::Debug for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed(..)")
    }
}

/// Why a value did not enter at once; it comes back.
#[derive(PartialEq, Eq, thiserror::Error)]
pub enum TrySendError<T> {
    /// Full, in mode [`FullMode::Wait`].
    #[error("the channel is full")]
    Full(T),
    /// Closed.
    #[error("the channel is closed")]
    Closed(T),
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

/// Counters since the channel was made, and its present depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Values that entered.
    pub sent: u64,
    /// Values that left to a reader. What the last reader left behind stands in no counter but `sent`.
    pub received: u64,
    /// Values that were dropped because the channel was full.
    pub dropped: u64,
    /// Values inside.
    pub depth: usize,
    /// Most values inside at a time.
    pub capacity: usize,
}

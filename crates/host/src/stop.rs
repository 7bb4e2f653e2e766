//! The stop signal, in two levels: *requested* (finish the item in hand) and *forced* (give back and return at once).

use tokio_util::sync::CancellationToken;

/// Tells a service to stop. Clones are the same signal; a child is stopped with its parent, not the reverse.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    requested: CancellationToken,
    forced: CancellationToken,
}

impl Stop {
    /// A signal that nobody has given yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a graceful stop: take nothing new, finish the item in hand.
    pub fn request(&self) {
        self.requested.cancel();
    }

    /// Asks to return at once; implies [`Stop::request`].
    pub fn force(&self) {
        self.requested.cancel();
        self.forced.cancel();
    }

    /// Waits for the graceful level.
    pub async fn requested(&self) {
        self.requested.cancelled().await;
    }

    /// Whether a stop was asked for, at either level.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Waits for the immediate level.
    pub async fn forced(&self) {
        self.forced.cancelled().await;
    }

    /// Whether the immediate level was asked for.
    #[must_use]
    pub fn is_forced(&self) -> bool {
        self.forced.is_cancelled()
    }

    /// A signal of its own that is also given with this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            requested: self.requested.child_token(),
            forced: self.forced.child_token(),
        }
    }
}

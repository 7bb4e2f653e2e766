//! A suspect runs apart (I10): nothing else starts beside it for its first two seconds.

use tokio::{sync::watch, time::Instant};

use crate::suspect::ALONE;

/// Whether this node runs a suspect, and since when. Shared by the producer, which claims one at a time, and the
/// executor, which starts nothing beside it.
#[derive(Debug, Default)]
pub(super) struct Apart(watch::Sender<Option<Instant>>);

/// Held for as long as the suspect is in hand.
pub(super) struct InHand<'a>(&'a Apart);

impl Apart {
    /// A suspect is in hand from now on; its first two seconds begin anew when it starts.
    pub(super) fn begin(&self) {
        self.0.send_replace(Some(Instant::now()));
    }

    /// None is in hand any more.
    pub(super) fn end(&self) {
        self.0.send_replace(None);
    }

    /// Ends with the returned guard, whatever becomes of the attempt.
    pub(super) fn until_dropped(&self) -> InHand<'_> {
        self.begin();
        InHand(self)
    }

    /// Whether a suspect is in hand: there is never a second one.
    pub(super) fn is_in_hand(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Whether nothing else may start.
    pub(super) fn is_alone(&self) -> bool {
        self.0.borrow().is_some_and(|since| since.elapsed() < ALONE)
    }

    /// Waits until something else may start.
    pub(super) async fn not_alone(&self) {
        let mut state = self.0.subscribe();
        loop {
            let Some(since) = *state.borrow_and_update() else {
                return;
            };
            tokio::select! {
                () = tokio::time::sleep_until(since + ALONE) => return,
                // The sender is this very value.
                _ = state.changed() => {}
            }
        }
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

//! Waiting for another process, the one place where a test may look again and again.
//!
//! What happens inside our own process has events, barriers and paused time; this is for what only shows from outside,
//! a file or the answer of an API.

use std::time::{Duration, Instant};

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until `look` finds something and returns that, or fails the test `within` the given time, naming `what` was
/// waited for.
#[track_caller]
pub(crate) fn eventually<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < within, "not within {within:?}: {what}");
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process raises no event here; only `eventually` sleeps"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

//! Answers whose time tells nothing.
//!
//! Asking for a link stores a mail where there is an account, and nothing where there is none: a millisecond that two
//! thousand tries would show (CWE-208). Such an answer is given at the next full step after the request came, so that
//! both come at the same time.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Longer than what is done for such a request takes on any sound machine; where it takes longer, the next step counts.
pub const STEP: Duration = Duration::from_millis(100);

/// What `work` gives, at the first full step after it is done.
pub async fn evenly<T>(work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = work.await;
    let steps = began.elapsed().as_millis() / STEP.as_millis() + 1;
    sleep_until(began + STEP * u32::try_from(steps).unwrap_or(u32::MAX)).await;
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S9.
    #[tokio::test(start_paused = true)]
    async fn an_answer_comes_at_a_full_step_however_long_its_work_took() {
        for (work, answered) in [(0, 100), (3, 100), (99, 100), (101, 200), (250, 300)] {
            let began = Instant::now();
            evenly(tokio::time::sleep(Duration::from_millis(work))).await;
            assert_eq!(began.elapsed().as_millis(), answered, "after {work} ms");
        }
    }
}

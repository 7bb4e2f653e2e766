//! The output of a child, line by line, while it runs.

use std::{
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

/// Every line so far; grows until the child closes the pipe. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    /// Collects from `pipe` on a thread that ends with it.
    pub(crate) fn of(pipe: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let collector = lines.clone();
        thread::spawn(move || collector.collect(BufReader::new(pipe)));
        lines
    }

    /// Waits for a line in which `pick` finds something; none when the output ends first or the time is over.
    pub(crate) fn find<T>(
        &self,
        within: Duration,
        mut pick: impl FnMut(&str) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + within;
        let mut state = self.state();
        let mut seen = 0;
        loop {
            if let Some(found) = state.lines[seen..].iter().find_map(|line| pick(line)) {
                return Some(found);
            }
            seen = state.lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = self
                .0
                .1
                .wait_timeout(state, left)
                .expect("no collector panics while it holds the lines")
                .0;
        }
    }

    /// Waits until the child has closed the pipe, so that nothing is missing from the text.
    pub(crate) fn finished(&self, within: Duration) -> String {
        self.find(within, |_| None::<()>);
        self.text()
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        self.state().lines.join("\n")
    }

    fn collect(&self, pipe: impl BufRead) {
        for line in pipe.split(b'\n').map_while(Result::ok) {
            self.state().lines.push(
                String::from_utf8_lossy(&line)
                    .trim_end_matches('\r')
                    .to_owned(),
            );
            self.0.1.notify_all();
        }
        self.state().ended = true;
        self.0.1.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .0
            .lock()
            .expect("no collector panics while it holds the lines")
    }
}

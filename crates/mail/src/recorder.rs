//! What was said over the wire, kept beside the outcome: the first thing that anybody asks for when a server refuses.
//!
//! Passwords never get in, nor does a mail's body: a log-in is `***`, a body one line with its size.

use std::{
    fmt::{self, Write},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use async_trait::async_trait;
use posthaste_domain::delivery::Class;

use crate::{
    envelope::Envelope,
    transport::{Gate, Receipt, SendError, Transport},
};

/// Most of one transcript, in bytes.
pub const MAX_TRANSCRIPT: usize = 8 * 1024;
/// Most of one line, in characters; a server may say 64 KiB.
const MAX_LINE: usize = 500;

/// Which conversations are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Those in which something was not accepted.
    Failures,
    /// All.
    All,
}

/// A transport whose conversations are kept.
pub struct Recorder {
    inner: Arc<dyn Transport>,
    keep: Keep,
}

impl Recorder {
    /// Records what `inner` says and hears.
    #[must_use]
    pub fn around(inner: Arc<dyn Transport>, keep: Keep) -> Self {
        Self { inner, keep }
    }
}

tokio::task_local! {
    static NOW: Arc<Mutex<Lines>>;
}

struct Lines {
    began: Instant,
    text: String,
    is_full: bool,
}

impl Lines {
    fn add(&mut self, who: &str, line: &str) {
        if self.is_full {
            return;
        }
        let cut = line
            .char_indices()
            .nth(MAX_LINE)
            .map_or(line, |(at, _)| &line[..at]);
        let more = if cut.len() < line.len() { "…" } else { "" };
        if self.text.len() + cut.len() + 32 > MAX_TRANSCRIPT {
            self.is_full = true;
            self.text.push_str("…\n");
            return;
        }
        let at = self.began.elapsed().as_millis();
        // Control characters of a server could forge lines.
        let clean = |c: char| if c.is_control() { '?' } else { c };
        let cut: String = cut.chars().map(clean).collect();
        writeln!(self.text, "{at:>6} {who} {cut}{more}").expect("a text takes what is written");
    }
}

/// Notes something of the conversation that is being recorded, if one is.
fn note(add: impl FnOnce(&mut Lines)) {
    // Fails where nothing is recorded.
    NOW.try_with(|now| add(&mut lock(now))).ok();
}

fn lock(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes what was written: commands, a line each.
pub(crate) fn client(commands: &[u8]) {
    note(|lines| {
        for line in String::from_utf8_lossy(commands).lines() {
            lines.add("C", line);
        }
    });
}

/// Notes that so much of a body was written.
pub(crate) fn body(bytes: usize) {
    note(|lines| lines.add("C", &format!("<{bytes} bytes>")));
}

/// Notes a reply.
pub(crate) fn server(code: u16, text: &[String]) {
    note(|lines| {
        for line in text {
            lines.add("S", &format!("{code} {line}"));
        }
    });
}

/// Notes what is neither said nor heard: a connection, TLS, an end.
pub(crate) fn event(text: &str) {
    note(|lines| lines.add("*", text));
}

async fn recorded<T>(sending: impl Future<Output = T>) -> (T, String) {
    let lines = Arc::new(Mutex::new(Lines {
        began: Instant::now(),
        text: String::new(),
        is_full: false,
    }));
    let sent = NOW.scope(Arc::clone(&lines), sending).await;
    let text = std::mem::take(&mut lock(&lines).text);
    (sent, text)
}

#[async_trait]
impl Transport for Recorder {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
        gate: &Gate,
    ) -> Result<Receipt, SendError> {
        let (mut sent, text) = recorded(self.inner.send(envelope, message, gate)).await;
        let all_accepted = |receipt: &Receipt| {
            let mut replies = receipt.replies.iter();
            replies.all(|reply| reply.class == Class::Accepted)
        };
        if self.keep == Keep::Failures && sent.as_ref().is_ok_and(all_accepted) || text.is_empty() {
            return sent;
        }
        let trail = match &mut sent {
            Ok(receipt) => &mut receipt.trail,
            Err(error) => &mut error.trail,
        };
        trail.get_or_insert_default().transcript = Some(text);
        sent
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("inner", &self.inner)
            .field("keep", &self.keep)
            .finish()
    }
}

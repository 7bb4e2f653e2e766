//! Mail into memory, for tests: each transport has an inbox of its own, outcomes can be scripted, and waiting for a mail
//! needs no sleep.

#[cfg(feature = "inbox")]
pub mod read;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use posthaste_domain::delivery::{Class, Reply, Stage};
use tokio::sync::watch;

use crate::{
    envelope::Envelope,
    transport::{Gate, Passing, Receipt, Scope, SendError, Transport, hash_of},
};

/// A mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMail {
    /// Its envelope, with the accepted recipients only.
    pub envelope: Envelope,
    /// Its bytes.
    pub message: Vec<u8>,
}

/// What a scripted call does.
#[derive(Debug, Clone)]
pub enum Act {
    /// Fails as a whole.
    Fail(SendError),
    /// Takes the mail, after a while.
    Delay(Duration),
    /// Loses the connection before the end of the mail: nothing is taken.
    Drop,
    /// Takes the mail, and loses the connection before it says so: the outcome is unknown.
    Lose,
    /// Never returns.
    Hang,
    /// Panics.
    Panic,
}

/// What was waited for did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such mail within {within:?}; taken meanwhile: {}", list(sent))]
pub struct NoSuchMail {
    /// How long it was waited for.
    pub within: Duration,
    /// What was taken.
    pub sent: Vec<SentMail>,
}

fn list(sent: &[SentMail]) -> String {
    if sent.is_empty() {
        return "nothing".to_owned();
    }
    let mail = |mail: &SentMail| {
        let to = mail.envelope.recipients.iter();
        let to: Vec<_> = to.map(ToString::to_string).collect();
        format!("{} bytes to {}", mail.message.len(), to.join(", "))
    };
    sent.iter().map(mail).collect::<Vec<_>>().join("; ")
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Act>,
    refused: HashMap<String, Reply>,
    sent: VecDeque<SentMail>,
    open: usize,
}

/// A transport into memory.
#[derive(Debug)]
pub struct MemoryTransport {
    name: String,
    most: usize,
    state: Mutex<State>,
    count: watch::Sender<usize>,
}

impl MemoryTransport {
    /// A transport with an empty inbox, which keeps every mail.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::keeping(name, usize::MAX)
    }

    /// The same for a process that runs long: of more mails than `most` the oldest are forgotten.
    #[must_use]
    pub fn keeping(name: &str, most: usize) -> Self {
        Self {
            name: name.to_owned(),
            most,
            state: Mutex::default(),
            count: watch::channel(0).0,
        }
    }

    /// The next call that has no act yet does this instead of taking the mail.
    pub fn next(&self, act: Act) {
        self.state().script.push_back(act);
    }

    /// The next call that has no act yet is answered so as a whole.
    pub fn fail_next(&self, reply: Reply) {
        self.next(Act::Fail(SendError {
            scope: Scope::Message,
            reply,
            remote: None,
            trail: None,
        }));
    }

    /// From now on `recipient` gets this reply.
    pub fn answer(&self, recipient: &str, reply: Reply) {
        self.state().refused.insert(recipient.to_owned(), reply);
    }

    /// From now on `recipient` is taken again.
    pub fn accept(&self, recipient: &str) {
        self.state().refused.remove(recipient);
    }

    /// Every mail that was taken and is kept, oldest first.
    #[must_use]
    pub fn sent(&self) -> Vec<SentMail> {
        self.state().sent.iter().cloned().collect()
    }

    /// Forgets every mail, and goes on counting.
    pub fn clear(&self) {
        self.state().sent.clear();
    }

    /// Calls that have begun and not ended.
    #[must_use]
    pub fn open_sends(&self) -> usize {
        self.state().open
    }

    /// Waits until at least `count` mails were taken, and returns them all.
    pub async fn wait_for(&self, count: usize) -> Vec<SentMail> {
        let mut taken = self.count.subscribe();
        // Cannot fail: the sender is ours.
        taken.wait_for(|taken| *taken >= count).await.ok();
        self.sent()
    }

    /// Waits until a mail of this kind was taken: woken, not looking again and again, so that it works where time is paused.
    ///
    /// # Errors
    /// [`NoSuchMail`] after `within`, with what was taken instead.
    pub async fn wait_until(
        &self,
        within: Duration,
        is_it: impl Fn(&SentMail) -> bool,
    ) -> Result<SentMail, NoSuchMail> {
        let mut taken = self.count.subscribe();
        let found = tokio::time::timeout(within, async {
            loop {
                taken.borrow_and_update();
                let found = self.state().sent.iter().find(|mail| is_it(mail)).cloned();
                if let Some(found) = found {
                    return found;
                }
                // Cannot fail: the sender is ours.
                taken.changed().await.ok();
            }
        });
        found.await.map_err(|_elapsed| NoSuchMail {
            within,
            sent: self.sent(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a call for as long as it is under way, dropped ones too.
struct Open<'a>(&'a MemoryTransport);

impl<'a> Open<'a> {
    fn begin(transport: &'a MemoryTransport) -> Self {
        transport.state().open += 1;
        Self(transport)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.state().open -= 1;
    }
}

#[async_trait]
impl Transport for MemoryTransport {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
        gate: &Gate,
    ) -> Result<Receipt, SendError> {
        let _open = Open::begin(self);
        let act = self.state().script.pop_front();
        let mut lost = false;
        match act {
            None => {}
            Some(Act::Fail(error)) => return Err(error),
            Some(Act::Delay(wait)) => tokio::time::sleep(wait).await,
            Some(Act::Drop) => {
                let text = "the connection was lost";
                return Err(SendError {
                    scope: Scope::Connection,
                    reply: Reply::new(Stage::Body, Class::Transient, text),
                    remote: None,
                    trail: None,
                });
            }
            Some(Act::Lose) => lost = true,
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::Panic) => panic!("scripted panic"),
        }
        let taken = Reply::new(Stage::Dot, Class::Accepted, "taken");
        let mut replies: Vec<_> = {
            let state = self.state();
            let reply = |recipient: &posthaste_domain::address::EmailAddress| {
                state
                    .refused
                    .get(recipient.expose())
                    .cloned()
                    .unwrap_or_else(|| taken.clone())
            };
            envelope.recipients.iter().map(reply).collect()
        };
        let accepted = envelope
            .recipients
            .iter()
            .zip(&replies)
            .filter(|(_, reply)| reply.class == Class::Accepted);
        let accepted: Vec<_> = accepted.map(|(recipient, _)| recipient.clone()).collect();
        if !accepted.is_empty() {
            let passing = Passing {
                hash: hash_of(message),
                recipients: &accepted.iter().collect::<Vec<_>>(),
            };
            gate.open(passing).await.map_err(|shut| SendError {
                scope: Scope::Gate,
                reply: Reply::new(Stage::Body, Class::Transient, &shut.to_string()),
                remote: None,
                trail: None,
            })?;
            let envelope = Envelope {
                recipients: accepted,
                ..envelope.clone()
            };
            let mut state = self.state();
            state.sent.push_back(SentMail {
                envelope,
                message: message.to_vec(),
            });
            if state.sent.len() > self.most {
                state.sent.pop_front();
            }
            drop(state);
            self.count.send_modify(|count| *count += 1);
        }
        if lost {
            let accepted = replies
                .iter_mut()
                .filter(|reply| reply.class == Class::Accepted);
            for reply in accepted {
                *reply = Reply::new(Stage::Dot, Class::Uncertain, "the connection was lost");
            }
        }
        Ok(Receipt {
            replies,
            remote: Some("memory".to_owned()),
            trail: None,
        })
    }
}

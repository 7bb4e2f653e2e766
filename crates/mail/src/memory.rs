//! Mail into memory, for tests: each transport has an inbox of its own, outcomes can be scripted, and waiting for a mail
//! needs no sleep.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
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
    /// Never returns.
    Hang,
    /// Panics.
    Panic,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Act>,
    refused: HashMap<String, Reply>,
    sent: Vec<SentMail>,
    open: usize,
}

/// A transport into memory.
#[derive(Debug)]
pub struct MemoryTransport {
    name: String,
    state: Mutex<State>,
    count: watch::Sender<usize>,
}

impl MemoryTransport {
    /// A transport with an empty inbox.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: Mutex::default(),
            count: watch::channel(0).0,
        }
    }

    /// The next call that has no act yet does this instead of taking the mail.
    pub fn next(&self, act: Act) {
        self.state().script.push_back(act);
    }

    /// From now on `recipient` gets this reply.
    pub fn answer(&self, recipient: &str, reply: Reply) {
        self.state().refused.insert(recipient.to_owned(), reply);
    }

    /// From now on `recipient` is taken again.
    pub fn accept(&self, recipient: &str) {
        self.state().refused.remove(recipient);
    }

    /// Every mail that was taken, oldest first.
    #[must_use]
    pub fn sent(&self) -> Vec<SentMail> {
        self.state().sent.clone()
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
        match act {
            None => {}
            Some(Act::Fail(error)) => return Err(error),
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::Panic) => panic!("scripted panic"),
        }
        let taken = Reply::new(Stage::Dot, Class::Accepted, "taken");
        let replies: Vec<_> = {
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
            self.state().sent.push(SentMail {
                envelope,
                message: message.to_vec(),
            });
            self.count.send_modify(|count| *count += 1);
        }
        Ok(Receipt {
            replies,
            remote: Some("memory".to_owned()),
            trail: None,
        })
    }
}

//! The way out: one trait for SMTP, files and memory.
//!
//! A transport tells the outcome for each recipient. It awaits the [`DataGate`] after it knows who was accepted and
//! before the write that completes the mail; if the gate is shut, nothing was sent. Dropping a `send` at any await leaves
//! nothing half-written that a later one could meet.

use std::fmt::Debug;

use async_trait::async_trait;
use posthaste_domain::{
    address::EmailAddress,
    delivery::{BodyHash, Class, Reply},
};
use sha2::{Digest, Sha256};

use crate::envelope::Envelope;

/// What a server said to each recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// One reply for each recipient of the envelope, in its order.
    pub replies: Vec<Reply>,
    /// The server or file that was reached.
    pub remote: Option<String>,
    /// What else is known of the way.
    pub trail: Option<Box<Trail>>,
}

/// What decorators add to how a send ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trail {
    /// The transport that was chosen among several.
    pub transport: Option<String>,
    /// What was said over the wire, without secrets and bodies.
    pub transcript: Option<String>,
}

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The way itself: names, connection, TLS, log-in. Says nothing about the mail, which waits for as long as it may.
    Transport,
    /// This connection; the next may be sound.
    Connection,
    /// The mail as a whole, whoever it is for.
    Message,
    /// Our own gate: the right to send was lost before anything was sent.
    Gate,
}

/// No recipient has a reply of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} at {:?}", reply.text, reply.stage)]
pub struct SendError {
    /// What it is about.
    pub scope: Scope,
    /// What happened.
    pub reply: Reply,
    /// The server or file, if one was reached.
    pub remote: Option<String>,
    /// What else is known of the way.
    pub trail: Option<Box<Trail>>,
}

impl SendError {
    /// Whether another attempt could fare better.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.reply.class {
            Class::Permanent => self.scope == Scope::Transport,
            Class::Accepted | Class::Transient | Class::Throttled | Class::Uncertain => true,
        }
    }
}

/// The right to send was lost: lease, deadline or node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this node may not complete the mail any more")]
pub struct GateShut;

/// Asked right before the write that completes a mail: once for each transaction, with those who get it by that write.
#[async_trait]
pub trait DataGate: Send + Sync {
    /// Lets the mail with this hash out to these recipients, or not.
    async fn open(&self, passing: Passing<'_>) -> Result<(), GateShut>;
}

/// What is about to pass a gate.
#[derive(Debug, Clone, Copy)]
pub struct Passing<'a> {
    /// The bytes.
    pub hash: BodyHash,
    /// Who gets them by the write that follows.
    pub recipients: &'a [&'a EmailAddress],
}

/// Any gate.
pub type Gate = dyn DataGate;

/// A gate that is always open, for tools and tests.
#[derive(Debug, Clone, Copy)]
pub struct OpenGate;

#[async_trait]
impl DataGate for OpenGate {
    async fn open(&self, _passing: Passing<'_>) -> Result<(), GateShut> {
        Ok(())
    }
}

/// A way out.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Transport: Debug + Send + Sync + 'static {
    /// Its configured name.
    fn name(&self) -> &str;

    /// Sends the bytes to the recipients of the envelope, in one transaction.
    async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
        gate: &Gate,
    ) -> Result<Receipt, SendError>;
}

/// SHA-256 of the bytes of a mail.
#[must_use]
pub fn hash_of(message: &[u8]) -> BodyHash {
    BodyHash(Sha256::digest(message).into())
}

//! SMTP (RFC 5321): to one server, over a few connections that are kept for the next mail.
//!
//! The wire is driven through lettre's connection type, step by step, on a stream of ours (`wire`): never through its
//! pooled transport, which under a time limit can report a refused mail as sent. What a server said is read from our own
//! stream. Each step has a limit of its own; a connection is used again only after a completed exchange and is dropped
//! after any error, time-out or cancellation.
//!
//! A client of our own takes lettre's place here later, behind the same [`Transport`].

mod classify;
mod open;
mod session;
mod tls;
mod wire;

use std::{
    fmt,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::FutureExt;
use posthaste_domain::delivery::{Class, Reply, Stage};
use secrecy::SecretString;
use session::{Broke, Session};
use tokio::{sync::Semaphore, task::JoinSet};

pub use self::tls::TlsError;
use crate::{
    envelope::Envelope,
    transport::{Gate, Receipt, Scope, SendError, Transport},
};

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// From the first byte (RFC 8314).
    Implicit,
    /// By STARTTLS; without it nothing is sent.
    Starttls,
    /// By STARTTLS where it is offered.
    Opportunistic,
    /// Not at all.
    None,
}

/// A log-in.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: SecretString,
}

/// The limit of each step (RFC 5321 section 4.5.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution and connection.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// The server's first line.
    pub greeting: Duration,
    /// EHLO, STARTTLS and AUTH, each.
    pub command: Duration,
    /// MAIL, RCPT and DATA, each.
    pub envelope: Duration,
    /// The body, without any progress.
    pub body: Duration,
    /// The reply to the final dot. Under 600 s a slow server may take the mail and then receive it again.
    pub dot: Duration,
}

/// A server, and how to treat it.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    /// Its name or address; the name its certificate must bear.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How connections are protected.
    pub tls: TlsMode,
    /// The log-in, if it asks for one.
    pub credentials: Option<Credentials>,
    /// Certificates (PEM) that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// What this node calls itself.
    pub hello_name: String,
    /// Most connections that are open at a time, those that are being opened included.
    pub connections: usize,
    /// Most mails over one connection.
    pub max_messages: u32,
    /// Oldest age of a connection that is used again.
    pub max_age: Duration,
    /// Longest time without use after which a connection is used again.
    pub max_idle: Duration,
    /// The limits of the steps.
    pub timeouts: Timeouts,
}

/// Longest wait for the answer to QUIT; nobody waits for it.
const QUIT_LIMIT: Duration = Duration::from_secs(5);

/// Sends to one server.
pub struct SmtpTransport {
    name: String,
    config: SmtpConfig,
    tls: Arc<rustls::ClientConfig>,
    places: Semaphore,
    idle: Mutex<Vec<Session>>,
    /// Connections that are saying goodbye.
    leaving: Mutex<JoinSet<()>>,
}

impl SmtpTransport {
    /// A transport to the server of `config`; nothing is connected yet.
    ///
    /// # Errors
    /// [`TlsError`] if the trusted certificates cannot be read.
    pub fn new(name: &str, config: SmtpConfig) -> Result<Self, TlsError> {
        Ok(Self {
            name: name.to_owned(),
            tls: tls::client_config(config.ca_file.as_deref())?,
            places: Semaphore::new(config.connections.max(1)),
            idle: Mutex::default(),
            leaving: Mutex::default(),
            config,
        })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that was used before and may be used again; those too old or too long idle are sent away.
    fn reusable(&self) -> Option<Session> {
        loop {
            let session = self.idle().pop()?;
            if self.may_be_used(&session) {
                return Some(session);
            }
            self.say_goodbye(session);
        }
    }

    fn may_be_used(&self, session: &Session) -> bool {
        let now = Instant::now();
        session.messages < self.config.max_messages
            && now.duration_since(session.opened) < self.config.max_age
            && now.duration_since(session.used) < self.config.max_idle
    }

    fn keep(&self, session: Session) {
        if self.may_be_used(&session) {
            self.idle().push(session);
        } else {
            self.say_goodbye(session);
        }
    }

    fn say_goodbye(&self, session: Session) {
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        while leaving.try_join_next().is_some() {}
        leaving.spawn(async move {
            // Whatever the server answers, the connection is closed then.
            tokio::time::timeout(QUIT_LIMIT, session.quit()).await.ok();
        });
    }

    async fn open(&self) -> Result<Session, SendError> {
        open::open(&self.config, &self.tls).await
    }

    async fn attempt(
        &self,
        envelope: &Envelope,
        message: &[u8],
        gate: &Gate,
    ) -> Result<Receipt, SendError> {
        if let Some(mut session) = self.reusable() {
            match session
                .send(envelope, message, gate, &self.config.timeouts)
                .await
            {
                // The server closed it while it was idle: nothing was sent, and a fresh one costs no attempt.
                Err(Broke::BeforeFirstReply(_)) => {}
                outcome => return self.conclude(session, outcome),
            }
        }
        let mut session = self.open().await?;
        let outcome = session
            .send(envelope, message, gate, &self.config.timeouts)
            .await;
        self.conclude(session, outcome)
    }

    /// Keeps the connection only if the exchange was completed.
    fn conclude(
        &self,
        session: Session,
        outcome: Result<Receipt, Broke>,
    ) -> Result<Receipt, SendError> {
        match outcome {
            Ok(receipt) => {
                self.keep(session);
                Ok(receipt)
            }
            Err(Broke::Refused(error)) => {
                self.keep(session);
                Err(error)
            }
            Err(Broke::BeforeFirstReply(error) | Broke::Later(error)) => Err(error),
        }
    }
}

#[async_trait]
impl Transport for SmtpTransport {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
        gate: &Gate,
    ) -> Result<Receipt, SendError> {
        let _place = self.places.acquire().await.map_err(|_| closed())?;
        // lettre can panic on what a server says (RUSTSEC-2026-0562): the connection is gone then, the mail is not.
        match AssertUnwindSafe(self.attempt(envelope, message, gate))
            .catch_unwind()
            .await
        {
            Ok(outcome) => outcome,
            Err(_panic) => Err(SendError {
                scope: Scope::Connection,
                reply: Reply::new(
                    Stage::Hello,
                    Class::Transient,
                    "the server sent what cannot be read",
                ),
                remote: Some(format!("{}:{}", self.config.host, self.config.port)),
            }),
        }
    }
}

fn closed() -> SendError {
    let reply = Reply::new(Stage::Connect, Class::Transient, "the transport is closed");
    SendError {
        scope: Scope::Transport,
        reply,
        remote: None,
    }
}

impl fmt::Debug for SmtpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpTransport")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

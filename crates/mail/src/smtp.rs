//! SMTP (RFC 5321) and LMTP (RFC 2033): to one server, over a few connections that are kept for the next mail.
//!
//! Each step has a limit of its own. A connection is used again only after a completed exchange, and is dropped after any
//! error, time-out or cancellation: so an answer is never taken for another mail's. Where the server offers it, commands
//! travel together (RFC 2920) and the mail goes by BDAT (RFC 3030).

mod auth;
mod body;
mod classify;
mod connection;
mod offered;
mod open;
mod pool;
mod reply;
mod session;
pub(crate) mod tls;

use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use pool::{Held, Limits, Pool, Turn};
use posthaste_domain::delivery::{BodyHash, Class, EnhancedCode, Reply, Stage};
use session::{Begun, Mail, Opening};

pub use self::{
    auth::{AuthMechanism, Credentials},
    tls::TlsError,
};
use crate::{
    envelope::Envelope,
    transport::{Gate, Receipt, Scope, SendError, Transport, hash_of},
};

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// At a host, whose name its certificate must bear.
    Tcp {
        /// Its name or address.
        host: String,
        /// Its port.
        port: u16,
    },
    /// At a host whose addresses are known already.
    Resolved {
        /// The name that its certificate must bear.
        host: String,
        /// Where it is, in the order in which they are tried.
        addresses: Vec<IpAddr>,
        /// Its port.
        port: u16,
    },
    /// Behind a socket on this machine.
    Unix(PathBuf),
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } | Self::Resolved { host, port, .. } => {
                write!(f, "{host}:{port}")
            }
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// SMTP.
    Smtp,
    /// LMTP: the server answers for each accepted recipient by itself.
    Lmtp,
}

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
    /// Where it is.
    pub server: Server,
    /// What is spoken.
    pub protocol: Protocol,
    /// The address that connections come from; the system's choice if none is given.
    pub source: Option<IpAddr>,
    /// How connections are protected.
    pub tls: TlsMode,
    /// The log-in, if it asks for one.
    pub credentials: Option<Credentials>,
    /// Certificates (PEM) that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// What this node shows where a server asks for a certificate.
    pub certificate: Option<ClientCertificate>,
    /// What this node calls itself.
    pub hello_name: String,
    /// Commands travel together where the server offers it (RFC 2920).
    pub pipelining: bool,
    /// The mail goes by BDAT where the server offers it (RFC 3030).
    pub chunking: bool,
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

/// A certificate of this node's own, with its key (PEM).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those it depends on.
    pub certificates: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// The server takes no more recipients in this transaction (RFC 3463: 4.5.3).
const TOO_MANY_RECIPIENTS: EnhancedCode = EnhancedCode {
    class: 4,
    subject: 5,
    detail: 3,
};

/// Sends to one server.
pub struct SmtpTransport {
    name: String,
    config: SmtpConfig,
    tls: Arc<rustls::ClientConfig>,
    pool: Arc<Pool>,
}

impl SmtpTransport {
    /// A transport to the server of `config`; nothing is connected yet.
    ///
    /// # Errors
    /// [`TlsError`] if certificates cannot be read.
    pub fn new(name: &str, config: SmtpConfig) -> Result<Self, TlsError> {
        let tls = tls::client_config(config.ca_file.as_deref(), config.certificate.as_ref())?;
        Ok(Self::with_tls(name, config, tls))
    }

    /// The same with TLS that is set up already.
    pub(crate) fn with_tls(name: &str, config: SmtpConfig, tls: Arc<rustls::ClientConfig>) -> Self {
        let limits = Limits {
            connections: config.connections.max(1),
            mails: config.max_messages.max(1),
            age: config.max_age,
            idle: config.max_idle,
        };
        Self {
            name: name.to_owned(),
            tls,
            pool: Pool::new(limits),
            config,
        }
    }

    /// One transaction with all recipients of the envelope.
    async fn transact(
        &self,
        envelope: &Envelope,
        message: &[u8],
        hash: BodyHash,
        gate: &Gate,
    ) -> Result<Receipt, SendError> {
        let opening = Arc::new(Opening::of(envelope, message));
        let mail = Mail {
            opening: &opening,
            message,
            hash,
            gate,
        };
        loop {
            let (mut held, begun) = match self.pool.turn(&opening).await {
                Turn::Connection(held, begun) => (*held, begun),
                Turn::Place(place) => {
                    let session = open::open(&self.config, &self.tls).await?;
                    (Held::new(session, place), Begun::No)
                }
            };
            let mut follower = None;
            let sent = held
                .session
                .send(&mail, begun, &mut |session| {
                    let next = self.pool.follower(session)?;
                    let commands = session.commands(&next.opening);
                    follower = Some(next);
                    Some(commands)
                })
                .await;
            match (follower, &sent) {
                // The answers to its commands are on their way, and nobody else may read them.
                (Some(follower), Ok(_)) if held.session.is_done() => {
                    Pool::hand_on(follower, held);
                }
                (Some(_), _) => {}
                // It was dead before anything was said: another connection costs nothing.
                (None, Err(failed)) if failed.dead_on_reuse => continue,
                (None, _) => self.pool.give_back(held),
            }
            return sent.map_err(|failed| failed.error);
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
        if !body::is_sound(message) {
            let text = "the mail has a line end that servers read in different ways, or a NUL";
            return Err(SendError {
                scope: Scope::Message,
                reply: Reply::new(Stage::Render, Class::Permanent, text),
                remote: None,
                trail: None,
            });
        }
        let hash = hash_of(message);
        let mut receipt = self.transact(envelope, message, hash, gate).await?;
        // A server that takes so many recipients and no more gets the others in transactions of their own, at once.
        while let Some(left) = left_over(&receipt) {
            let recipients = left
                .iter()
                .map(|&number| envelope.recipients[number].clone());
            let rest = Envelope {
                recipients: recipients.collect(),
                ..envelope.clone()
            };
            let Ok(next) = self.transact(&rest, message, hash, gate).await else {
                // What was said of them before stands: they are tried again later.
                break;
            };
            let taken = left_over(&next).is_none_or(|over| over.len() < left.len());
            for (number, reply) in left.into_iter().zip(next.replies) {
                receipt.replies[number] = reply;
            }
            if !taken {
                break;
            }
        }
        Ok(receipt)
    }
}

/// The recipients that were too many, if others were taken.
fn left_over(receipt: &Receipt) -> Option<Vec<usize>> {
    let is_over =
        |reply: &Reply| reply.stage == Stage::Rcpt && reply.enhanced == Some(TOO_MANY_RECIPIENTS);
    let replies = receipt.replies.iter().enumerate();
    let over: Vec<_> = replies
        .filter(|(_, reply)| is_over(reply))
        .map(|(number, _)| number)
        .collect();
    (!over.is_empty() && over.len() < receipt.replies.len()).then_some(over)
}

impl Drop for SmtpTransport {
    fn drop(&mut self) {
        self.pool.close();
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

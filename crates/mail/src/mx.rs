//! Straight to the servers of each recipient's domain (RFC 5321 section 5.1), without a relay in between.
//!
//! Each domain of an envelope is a transaction of its own. A domain that is down, or hangs, holds nobody else up: it has
//! a breaker of its own, and only so many mails wait for it at a time.

mod destination;
mod names;

use std::{
    collections::HashMap,
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::join_all;
use posthaste_domain::{
    address::EmailAddress,
    delivery::{Class, Reply, Stage},
};
use rustls::ClientConfig;
use tokio::{sync::Semaphore, time::Instant};

use self::destination::Destination;
pub use self::names::{Dns, Exchangers, NameError, Names};
use crate::{
    breaker::{Breaker, BreakerConfig},
    envelope::Envelope,
    smtp::{SmtpConfig, TlsError, tls},
    transport::{Gate, Receipt, Scope, SendError, Transport},
};

/// How long a mail stays away from a domain that already has as many waiting as it may.
const BUSY_WAIT: Duration = Duration::from_secs(30);
/// Most domains whose connections and failures are remembered; the one that was used least recently is forgotten.
const REMEMBERED: usize = 1000;

/// How connections to a domain's servers are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// By STARTTLS where it is offered and works, whoever's certificate it is; else in clear (RFC 7435). It keeps out
    /// those who listen, not those who interfere.
    Opportunistic,
    /// By STARTTLS with a certificate for the name of the host; without it nothing is sent.
    Required,
}

/// How domains are sent to.
#[derive(Debug, Clone)]
pub struct MxConfig {
    /// Everything but the server and the TLS mode: limits are those of one host.
    pub smtp: SmtpConfig,
    /// 25, but for tests.
    pub port: u16,
    /// TLS.
    pub security: Security,
    /// Most mails that are under way to one domain.
    pub at_once: usize,
    /// Of each domain.
    pub breaker: BreakerConfig,
}

/// Sends to the servers of each domain.
pub struct MxTransport {
    name: String,
    config: Arc<MxConfig>,
    names: Arc<dyn Names>,
    tls: Arc<ClientConfig>,
    domains: Mutex<HashMap<String, Known>>,
}

/// What is known of a domain.
#[derive(Clone)]
struct Known {
    way: Arc<Breaker>,
    places: Arc<Semaphore>,
    used: Instant,
}

/// Why there is no such transport.
#[derive(Debug, thiserror::Error)]
pub enum MxError {
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The DNS.
    #[error("the system's name servers cannot be found")]
    Names(#[source] io::Error),
}

impl MxTransport {
    /// A transport that asks these name servers, or those of the system where none are given.
    ///
    /// # Errors
    /// [`MxError`].
    pub fn new(name: &str, config: MxConfig, servers: &[SocketAddr]) -> Result<Self, MxError> {
        let names = Dns::by(servers).map_err(MxError::Names)?;
        Ok(Self::asking(name, config, Arc::new(names))?)
    }

    /// The same with names from elsewhere.
    ///
    /// # Errors
    /// [`TlsError`] if certificates cannot be read.
    pub fn asking(name: &str, config: MxConfig, names: Arc<dyn Names>) -> Result<Self, TlsError> {
        let (ca_file, own) = (
            config.smtp.ca_file.as_deref(),
            config.smtp.certificate.as_ref(),
        );
        let tls = match config.security {
            Security::Opportunistic => tls::unverified(own)?,
            Security::Required => tls::client_config(ca_file, own)?,
        };
        Ok(Self {
            name: name.to_owned(),
            config: Arc::new(config),
            names,
            tls,
            domains: Mutex::default(),
        })
    }

    fn known(&self, domain: &str) -> Known {
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = domains.get_mut(domain) {
            known.used = Instant::now();
            return known.clone();
        }
        if domains.len() >= REMEMBERED {
            let oldest = domains.iter().min_by_key(|(_, known)| known.used);
            if let Some(oldest) = oldest.map(|(domain, _)| domain.clone()) {
                domains.remove(&oldest);
            }
        }
        let destination = Destination {
            domain: domain.to_owned(),
            config: Arc::clone(&self.config),
            names: Arc::clone(&self.names),
            tls: Arc::clone(&self.tls),
            hosts: Mutex::default(),
        };
        let known = Known {
            way: Arc::new(Breaker::before(Arc::new(destination), self.config.breaker)),
            places: Arc::new(Semaphore::new(self.config.at_once)),
            used: Instant::now(),
        };
        domains.insert(domain.to_owned(), known.clone());
        known
    }

    /// To those recipients, who share a domain.
    async fn send_to(
        &self,
        domain: &str,
        envelope: &Envelope,
        message: &[u8],
        gate: &Gate,
    ) -> Result<Receipt, SendError> {
        let known = self.known(domain);
        let Ok(_place) = known.places.try_acquire() else {
            let text = "as many mails as may be are under way to this domain";
            let reply = Reply::new(Stage::Connect, Class::Throttled, text);
            return Err(SendError {
                scope: Scope::Transport,
                reply: reply.with_retry_after(BUSY_WAIT),
                remote: Some(domain.to_owned()),
                trail: None,
            });
        };
        known.way.send(envelope, message, gate).await
    }
}

#[async_trait]
impl Transport for MxTransport {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
        gate: &Gate,
    ) -> Result<Receipt, SendError> {
        let groups = by_domain(&envelope.recipients);
        let parts: Vec<_> = groups
            .iter()
            .map(|(domain, numbers)| {
                let recipients = numbers.iter().map(|&n| envelope.recipients[n].clone());
                let part = Envelope {
                    recipients: recipients.collect(),
                    ..envelope.clone()
                };
                (domain, part)
            })
            .collect();
        let sends = parts
            .iter()
            .map(|(domain, part)| self.send_to(domain, part, message, gate));
        let mut sent = join_all(sends).await;
        if sent.len() == 1 {
            return sent.remove(0);
        }
        together(&groups, sent, envelope.recipients.len())
    }
}

/// The numbers of the recipients of each domain.
fn by_domain(recipients: &[EmailAddress]) -> Vec<(String, Vec<usize>)> {
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for (number, recipient) in recipients.iter().enumerate() {
        let domain = recipient.domain().to_ascii_lowercase();
        match groups.iter_mut().find(|(known, _)| *known == domain) {
            Some((_, numbers)) => numbers.push(number),
            None => groups.push((domain, vec![number])),
        }
    }
    groups
}

/// What became of each recipient. One error for all is told only where all failed in the same way: where a part was
/// answered, the others have replies of their own.
fn together(
    groups: &[(String, Vec<usize>)],
    sent: Vec<Result<Receipt, SendError>>,
    recipients: usize,
) -> Result<Receipt, SendError> {
    for scope in [Scope::Gate, Scope::Transport] {
        let all = |sent: &Result<_, SendError>| matches!(sent, Err(error) if error.scope == scope);
        if sent.iter().all(all) {
            let soonest = sent
                .iter()
                .filter_map(|sent| sent.as_ref().err()?.reply.retry_after)
                .min();
            let first = sent.into_iter().next();
            let mut error = first.and_then(Result::err).expect("all of them failed");
            error.reply.retry_after = soonest;
            return Err(error);
        }
    }
    let mut replies = vec![None; recipients];
    let (mut remotes, mut trail) = (Vec::new(), None);
    for ((_, numbers), sent) in groups.iter().zip(sent) {
        let (told, remote) = match sent {
            Ok(receipt) => {
                trail = trail.or(receipt.trail);
                (receipt.replies, receipt.remote)
            }
            Err(error) => {
                let remote = error.remote.clone();
                (vec![of_one(error); numbers.len()], remote)
            }
        };
        remotes.extend(remote);
        for (number, reply) in numbers.iter().zip(told) {
            replies[*number] = Some(reply);
        }
    }
    let missing = || Reply::new(Stage::Connect, Class::Transient, "there was no answer");
    Ok(Receipt {
        replies: replies
            .into_iter()
            .map(|reply| reply.unwrap_or_else(missing))
            .collect(),
        remote: (!remotes.is_empty()).then(|| remotes.join(", ")),
        trail,
    })
}

/// The reply to each recipient of a part that failed: the way out never condemns a mail, and what a gate kept back comes
/// again.
fn of_one(error: SendError) -> Reply {
    let mut reply = error.reply;
    if matches!(error.scope, Scope::Transport | Scope::Gate) {
        reply.stage = match error.scope {
            Scope::Gate => Stage::Connect,
            _ => reply.stage,
        };
        if reply.class == Class::Permanent {
            reply.class = Class::Transient;
        }
    }
    reply
}

impl fmt::Debug for MxTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MxTransport")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

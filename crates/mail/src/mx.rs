//! Straight to the servers of each recipient's domain (RFC 5321 section 5.1), without a relay in between.
//!
//! Each domain of an envelope is a transaction of its own. A domain that is down holds nobody else up: it has a breaker of
//! its own. How many mails are under way to one, [`crate::limits`] says.

mod destination;
mod names;

use std::{
    collections::HashMap,
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use rustls::ClientConfig;
use tokio::time::Instant;

use self::destination::Destination;
pub use self::names::{Dns, Exchangers, NameError, Names};
use crate::{
    breaker::{Breaker, BreakerConfig},
    by_domain,
    envelope::Envelope,
    smtp::{SmtpConfig, TlsError, tls},
    transport::{Gate, Receipt, SendError, Transport},
};

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
struct Known {
    way: Arc<Breaker>,
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

    fn way(&self, domain: &str) -> Arc<Breaker> {
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = domains.get_mut(domain) {
            known.used = Instant::now();
            return Arc::clone(&known.way);
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
        let way = Arc::new(Breaker::before(Arc::new(destination), self.config.breaker));
        let known = Known {
            way: Arc::clone(&way),
            used: Instant::now(),
        };
        domains.insert(domain.to_owned(), known);
        way
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
        by_domain::send_each(envelope, async |domain, part| {
            let way = self.way(&domain);
            way.send(&part, message, gate).await
        })
        .await
    }
}

impl fmt::Debug for MxTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MxTransport")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

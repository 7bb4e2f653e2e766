//! The way to one domain: its hosts in their order, until one answers.

use std::{
    collections::{HashMap, hash_map::RandomState},
    fmt,
    hash::BuildHasher,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use posthaste_domain::delivery::{Class, EnhancedCode, Reply, Stage};
use rustls::ClientConfig;

use super::{
    MxConfig, Security,
    names::{Exchangers, NameError, Names},
};
use crate::{
    envelope::Envelope,
    recorder,
    smtp::{Server, SmtpConfig, SmtpTransport, TlsMode},
    transport::{Gate, Receipt, Scope, SendError, Transport},
};

/// RFC 3463: bad destination system address; RFC 7505: the domain takes no mail.
const NO_SUCH_DOMAIN: EnhancedCode = code(1, 2);
const TAKES_NO_MAIL: EnhancedCode = code(1, 10);

const fn code(subject: u16, detail: u16) -> EnhancedCode {
    EnhancedCode {
        class: 5,
        subject,
        detail,
    }
}

/// One domain.
pub(super) struct Destination {
    pub(super) domain: String,
    pub(super) config: Arc<MxConfig>,
    pub(super) names: Arc<dyn Names>,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) hosts: Mutex<HashMap<String, Host>>,
}

/// A host as it was found last, with its connections.
pub(super) struct Host {
    addresses: Vec<IpAddr>,
    secured: Arc<SmtpTransport>,
    /// For a server whose TLS does not work, where TLS may be gone without.
    clear: Arc<SmtpTransport>,
}

impl Destination {
    /// The hosts in the order in which they are tried: by preference, equal ones in a new order each time (RFC 5321
    /// section 5.1).
    async fn in_order(&self) -> Result<Vec<String>, Unreachable> {
        let found = self.names.exchangers(&self.domain).await;
        let mut hosts = match found.map_err(Unreachable::Name)? {
            Exchangers::None => return Err(Unreachable::TakesNoMail),
            Exchangers::Hosts(hosts) => hosts,
        };
        let draw = RandomState::new();
        hosts.sort_by_cached_key(|(preference, host)| (*preference, draw.hash_one(host)));
        Ok(hosts.into_iter().map(|(_, host)| host).collect())
    }

    /// The transports to a host, in the order in which they are tried.
    async fn transports(&self, host: &str) -> Result<Vec<Arc<SmtpTransport>>, NameError> {
        let addresses = self.names.addresses(host).await?;
        if addresses.is_empty() {
            return Err(NameError::Missing(host.to_owned()));
        }
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_as_before = hosts
            .get(host)
            .is_some_and(|known| known.addresses == addresses);
        if !is_as_before {
            hosts.insert(host.to_owned(), self.host(host, addresses));
        }
        let known = &hosts[host];
        let clear = (self.config.security == Security::Opportunistic).then_some(&known.clear);
        Ok(std::iter::once(&known.secured)
            .chain(clear)
            .map(Arc::clone)
            .collect())
    }

    fn host(&self, host: &str, addresses: Vec<IpAddr>) -> Host {
        let by = |tls| {
            let config = SmtpConfig {
                server: Server::Resolved {
                    host: host.to_owned(),
                    addresses: addresses.clone(),
                    port: self.config.port,
                },
                tls,
                ..self.config.smtp.clone()
            };
            Arc::new(SmtpTransport::with_tls(host, config, Arc::clone(&self.tls)))
        };
        let secured = match self.config.security {
            Security::Opportunistic => TlsMode::Opportunistic,
            Security::Required => TlsMode::Starttls,
        };
        Host {
            secured: by(secured),
            clear: by(TlsMode::None),
            addresses,
        }
    }

    /// Whatever was learnt without a server.
    fn error(&self, unreachable: &Unreachable) -> SendError {
        let (scope, class, enhanced) = match unreachable {
            Unreachable::TakesNoMail => (Scope::Message, Class::Permanent, Some(TAKES_NO_MAIL)),
            Unreachable::Name(NameError::Missing(_)) => {
                (Scope::Message, Class::Permanent, Some(NO_SUCH_DOMAIN))
            }
            Unreachable::Name(NameError::Unknown { .. }) => {
                (Scope::Transport, Class::Transient, None)
            }
        };
        let text = unreachable.to_string();
        recorder::event(&text);
        let mut reply = Reply::new(Stage::Connect, class, &text);
        reply.enhanced = enhanced;
        SendError {
            scope,
            reply,
            remote: Some(self.domain.clone()),
            trail: None,
        }
    }
}

/// No server was reached.
#[derive(Debug, thiserror::Error)]
enum Unreachable {
    #[error("the domain takes no mail (null MX, RFC 7505)")]
    TakesNoMail,
    #[error(transparent)]
    Name(NameError),
}

/// Whether surely nothing was sent, for a reason that another host may not have.
fn is_about_the_way(error: &SendError) -> bool {
    matches!(error.scope, Scope::Transport | Scope::Connection)
        && error.reply.class != Class::Uncertain
}

#[async_trait]
impl Transport for Destination {
    fn name(&self) -> &str {
        &self.domain
    }

    async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
        gate: &Gate,
    ) -> Result<Receipt, SendError> {
        let hosts = self.in_order().await;
        let hosts = hosts.map_err(|unreachable| self.error(&unreachable))?;
        let mut failed = None;
        for host in hosts {
            let transports = match self.transports(&host).await {
                Ok(transports) => transports,
                Err(error) => {
                    // Another host of the domain may be found; this one not being there condemns nothing.
                    let mut error = self.error(&Unreachable::Name(error));
                    error.scope = Scope::Transport;
                    error.reply.class = Class::Transient;
                    error.reply.enhanced = None;
                    failed = Some(error);
                    continue;
                }
            };
            for transport in transports {
                match transport.send(envelope, message, gate).await {
                    Err(error) if is_about_the_way(&error) => {
                        // In clear only where it was TLS that failed.
                        let over = error.reply.stage != Stage::Tls;
                        failed = Some(error);
                        if over {
                            break;
                        }
                    }
                    answered => return answered,
                }
            }
        }
        Err(failed.unwrap_or_else(|| self.error(&Unreachable::TakesNoMail)))
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destination")
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

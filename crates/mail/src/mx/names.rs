//! Who takes mail for a domain, by the DNS (RFC 5321 section 5.1, RFC 7505).

use std::{
    fmt::Debug,
    io,
    net::{IpAddr, SocketAddr},
};

use async_trait::async_trait;
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{op::ResponseCode, rr::RData},
};

/// The hosts of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchangers {
    /// With their preferences, lower ones first; where the domain names none, the domain itself.
    Hosts(Vec<(u16, String)>),
    /// It takes no mail (RFC 7505).
    None,
}

/// Why a name says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is no such name, surely.
    #[error("there is no domain {0}")]
    Missing(String),
    /// Nobody answered, or not in a way that can be trusted to last.
    #[error("the name {name} cannot be looked up now: {reason}")]
    Unknown {
        /// The name.
        name: String,
        /// Why.
        reason: String,
    },
}

/// Looks names up.
#[async_trait]
pub trait Names: Debug + Send + Sync + 'static {
    /// Who takes mail for `domain`.
    async fn exchangers(&self, domain: &str) -> Result<Exchangers, NameError>;

    /// Where a host is; empty where it is nowhere.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NameError>;
}

/// The DNS.
#[derive(Debug)]
pub struct Dns(TokioResolver);

impl Dns {
    /// By these servers, or those of the system where none are given.
    ///
    /// # Errors
    /// The system's configuration cannot be read, or names no server.
    pub fn by(servers: &[SocketAddr]) -> io::Result<Self> {
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(io::Error::other)?
        } else {
            let servers = servers.iter().map(|server| {
                let at = |mut connection: ConnectionConfig| {
                    connection.port = server.port();
                    connection
                };
                let connections = vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
                NameServerConfig::new(server.ip(), true, connections)
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(Self(builder.build().map_err(io::Error::other)?))
    }
}

#[async_trait]
impl Names for Dns {
    async fn exchangers(&self, domain: &str) -> Result<Exchangers, NameError> {
        let found = match self.0.mx_lookup(rooted(domain)).await {
            Ok(found) => found,
            // The name is there, but no MX: the domain is its own host.
            Err(error) if is_empty(&error) => {
                return Ok(Exchangers::Hosts(vec![(0, domain.to_owned())]));
            }
            Err(error) => return Err(failed(domain, &error)),
        };
        let hosts = found
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::MX(mx) => Some((mx.preference, mx.exchange.to_utf8())),
                _ => None,
            });
        let mut hosts: Vec<_> = hosts
            .map(|(preference, host)| (preference, host.trim_end_matches('.').to_lowercase()))
            .collect();
        if hosts.iter().any(|(_, host)| host.is_empty()) {
            // A host beside it makes no sense, and is no reason to send.
            return Ok(Exchangers::None);
        }
        hosts.sort();
        Ok(Exchangers::Hosts(hosts))
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NameError> {
        match self.0.lookup_ip(rooted(host)).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) if is_empty(&error) || is_missing(&error) => Ok(Vec::new()),
            Err(error) => Err(failed(host, &error)),
        }
    }
}

/// Not to be looked for below the domains of this machine.
fn rooted(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

fn no_records(error: &NetError) -> Option<ResponseCode> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => Some(none.response_code),
        _ => None,
    }
}

fn is_empty(error: &NetError) -> bool {
    no_records(error) == Some(ResponseCode::NoError)
}

fn is_missing(error: &NetError) -> bool {
    no_records(error) == Some(ResponseCode::NXDomain)
}

fn failed(name: &str, error: &NetError) -> NameError {
    if is_missing(error) {
        return NameError::Missing(name.to_owned());
    }
    NameError::Unknown {
        name: name.to_owned(),
        reason: error.to_string(),
    }
}

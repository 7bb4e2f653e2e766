//! Domains, their names and their servers.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use posthaste_mail::{
    BreakerConfig, MxConfig, MxTransport,
    mx::{Exchangers, NameError, Names, Security},
};

use super::SECOND;
use crate::server::{Server, config};

/// Names as a test needs them.
#[derive(Debug, Default)]
struct Zone {
    exchangers: HashMap<String, Result<Exchangers, NameError>>,
    addresses: HashMap<String, IpAddr>,
}

#[async_trait]
impl Names for Zone {
    async fn exchangers(&self, domain: &str) -> Result<Exchangers, NameError> {
        let missing = || Err(NameError::Missing(domain.to_owned()));
        self.exchangers.get(domain).cloned().unwrap_or_else(missing)
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NameError> {
        Ok(self.addresses.get(host).copied().into_iter().collect())
    }
}

/// Domains and their servers, which share a port on addresses of their own.
pub(super) struct Town {
    zone: Zone,
    servers: Vec<Server>,
    pub(super) config: MxConfig,
}

impl Town {
    pub(super) async fn of(hosts: &[&str]) -> Self {
        Self::secured(hosts, None).await
    }

    pub(super) async fn secured(hosts: &[&str], tls: Option<crate::server::Tls>) -> Self {
        let (mut zone, mut servers, mut port) = (Zone::default(), Vec::new(), 0);
        for (number, host) in (2..).zip(hosts) {
            let ip = IpAddr::from([127, 0, 3, number]);
            let server = Server::at(SocketAddr::new(ip, port), tls.clone()).await;
            port = server.address.port();
            zone.addresses.insert((*host).to_owned(), ip);
            servers.push(server);
        }
        let config = MxConfig {
            smtp: config(port),
            port,
            security: Security::Opportunistic,
            breaker: BreakerConfig {
                failures: 5,
                wait: 30 * SECOND,
                max_wait: 300 * SECOND,
            },
        };
        Self {
            zone,
            servers,
            config,
        }
    }

    pub(super) fn domain(mut self, domain: &str, hosts: &[(u16, &str)]) -> Self {
        let hosts = hosts.iter().map(|(p, host)| (*p, (*host).to_owned()));
        let hosts = Ok(Exchangers::Hosts(hosts.collect()));
        self.zone.exchangers.insert(domain.to_owned(), hosts);
        self
    }

    pub(super) fn told(mut self, domain: &str, answer: Result<Exchangers, NameError>) -> Self {
        self.zone.exchangers.insert(domain.to_owned(), answer);
        self
    }

    pub(super) fn open(self) -> (Vec<Server>, MxTransport) {
        let transport = MxTransport::asking("mx", self.config, Arc::new(self.zone));
        (self.servers, transport.expect("sound settings"))
    }
}

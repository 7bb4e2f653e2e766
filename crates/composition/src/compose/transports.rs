//! The ways out, from their settings.

use std::{collections::HashMap, sync::Arc};

use posthaste_domain::{stores::TokenBuckets, stream::StreamName};
use posthaste_mail::{
    Breaker, BreakerConfig, DomainLimits, FileTransport, Limited, Limits, MemoryTransport,
    MxConfig, MxTransport, Recorder, RedirectAll, Several, Simulator, SmtpConfig, SmtpTransport,
    Transport,
    mx::Security,
    several,
    smtp::{AuthMechanism, ClientCertificate, Credentials, Protocol, Server, Timeouts, TlsMode},
};
use posthaste_queue::Rate;

use super::ComposeError;
use crate::settings::{Auth, Mx, Policy, Settings, Smtp, Stream, Tls, TransportKind};

/// Mails that a transport of kind memory keeps.
const KEPT_IN_MEMORY: usize = 1000;

/// The buckets of a rate that all nodes keep together.
pub(super) type Buckets<'a> = &'a dyn Fn(Rate) -> Arc<dyn TokenBuckets>;

/// The transport of each stream. One that no stream uses is not made.
pub(super) fn transports(
    settings: &Settings,
    buckets: Buckets<'_>,
) -> Result<HashMap<StreamName, Arc<dyn Transport>>, ComposeError> {
    let mut by_name: HashMap<&str, Arc<dyn Transport>> = HashMap::new();
    for configured in &settings.transports {
        let mut streams = settings.streams.iter();
        if streams.any(|stream| stream.transports.contains(&configured.name)) {
            let made = transport(settings, &configured.name, &configured.kind, buckets)?;
            by_name.insert(&configured.name, made);
        }
    }
    let of_stream = |stream: &Stream| {
        let names = stream.transports.iter();
        let each = names.map(|name| by_name.get(name.as_str()).map(Arc::clone));
        let one = together(stream, each.collect::<Option<_>>()?)?;
        let one = match &settings.redirect_all {
            Some(to) => Arc::new(RedirectAll::to(to.clone(), one)),
            None => one,
        };
        let one: Arc<dyn Transport> =
            Arc::new(Simulator::before(one, settings.simulate_resend_dev));
        let one = match stream.transcripts {
            Some(keep) => Arc::new(Recorder::around(one, keep)),
            None => one,
        };
        Some((stream.name.clone(), one))
    };
    Ok(settings.streams.iter().filter_map(of_stream).collect())
}

/// The transports of a stream as one; one alone is itself.
fn together(stream: &Stream, mut each: Vec<Arc<dyn Transport>>) -> Option<Arc<dyn Transport>> {
    if each.len() < 2 {
        return each.pop();
    }
    let policy = match &stream.policy {
        Policy::Failover => several::Policy::Failover,
        Policy::RoundRobin(weights) => several::Policy::RoundRobin {
            weights: weights.clone(),
        },
    };
    let name = stream.transports.join("|");
    Some(Arc::new(Several::of(&name, each, policy)))
}

fn transport(
    settings: &Settings,
    name: &str,
    kind: &TransportKind,
    buckets: Buckets<'_>,
) -> Result<Arc<dyn Transport>, ComposeError> {
    Ok(match kind {
        TransportKind::Smtp(configured) => {
            let way = smtp(name, configured, Protocol::Smtp)?;
            limited(way, configured, buckets)
        }
        TransportKind::Lmtp(configured) => {
            let way = smtp(name, configured, Protocol::Lmtp)?;
            limited(way, configured, buckets)
        }
        TransportKind::Mx(configured) => limited(mx(name, configured)?, &configured.smtp, buckets),
        TransportKind::File { dir, layout } => {
            let folder = dir
                .clone()
                .unwrap_or_else(|| settings.data_dir.join("mail"));
            let opened = FileTransport::open_as(name, &folder, *layout);
            Arc::new(opened.map_err(|source| ComposeError::Folder {
                name: name.to_owned(),
                source,
            })?)
        }
        TransportKind::Memory => Arc::new(MemoryTransport::keeping(name, KEPT_IN_MEMORY)),
    })
}

fn smtp(
    name: &str,
    configured: &Smtp,
    protocol: Protocol,
) -> Result<Arc<dyn Transport>, ComposeError> {
    let opened = SmtpTransport::new(name, smtp_config(configured, protocol));
    let failed = |source| ComposeError::Transport {
        name: name.to_owned(),
        source: Box::new(source),
    };
    let opened = Arc::new(opened.map_err(failed)?);
    Ok(Arc::new(Breaker::before(opened, breaker(configured))))
}

/// Each domain has a breaker of its own inside.
fn mx(name: &str, configured: &Mx) -> Result<Arc<dyn Transport>, ComposeError> {
    let config = MxConfig {
        port: configured.smtp.port,
        security: if configured.required {
            Security::Required
        } else {
            Security::Opportunistic
        },
        breaker: breaker(&configured.smtp),
        smtp: smtp_config(&configured.smtp, Protocol::Smtp),
    };
    let opened = MxTransport::new(name, config, &configured.name_servers);
    let opened = opened.map_err(|source| ComposeError::Transport {
        name: name.to_owned(),
        source: Box::new(source),
    })?;
    Ok(Arc::new(opened))
}

/// Before the breaker: what waits for its turn says nothing about the way.
fn limited(way: Arc<dyn Transport>, configured: &Smtp, buckets: Buckets<'_>) -> Arc<dyn Transport> {
    let limits = Limits {
        rate: configured.rate.map(buckets),
        domain: DomainLimits {
            rate: configured.domain_rate.map(buckets),
            at_once: configured.domain_concurrency,
        },
    };
    Arc::new(Limited::before(way, limits))
}

fn breaker(configured: &Smtp) -> BreakerConfig {
    BreakerConfig {
        failures: configured.breaker_failures,
        wait: configured.breaker_wait,
        max_wait: configured.breaker_max_wait,
    }
}

fn smtp_config(configured: &Smtp, protocol: Protocol) -> SmtpConfig {
    let credentials = configured.password.clone().map(|password| Credentials {
        username: configured.username.clone(),
        password,
        mechanism: match configured.auth {
            Auth::Auto => AuthMechanism::Password,
            Auth::Plain => AuthMechanism::Plain,
            Auth::Login => AuthMechanism::Login,
            Auth::Xoauth2 => AuthMechanism::Xoauth2,
        },
    });
    let server = match &configured.socket {
        Some(path) => Server::Unix(path.clone()),
        None => Server::Tcp {
            host: configured.host.clone(),
            port: configured.port,
        },
    };
    let own = configured.certificate_file.clone();
    let own = own.zip(configured.certificate_key_file.clone());
    SmtpConfig {
        server,
        protocol,
        source: configured.source_address,
        tls: match configured.tls {
            Tls::Implicit => TlsMode::Implicit,
            Tls::Starttls => TlsMode::Starttls,
            Tls::Opportunistic => TlsMode::Opportunistic,
            Tls::None => TlsMode::None,
        },
        credentials,
        ca_file: configured.ca_file.clone(),
        certificate: own.map(|(certificates, key)| ClientCertificate { certificates, key }),
        hello_name: configured.hello_name.clone(),
        pipelining: configured.pipelining,
        chunking: configured.chunking,
        connections: configured.connections,
        max_messages: configured.max_messages,
        max_age: configured.max_age,
        max_idle: configured.max_idle,
        timeouts: Timeouts {
            connect: configured.connect_timeout,
            tls: configured.tls_timeout,
            greeting: configured.greeting_timeout,
            command: configured.command_timeout,
            envelope: configured.envelope_timeout,
            body: configured.body_timeout,
            dot: configured.dot_timeout,
        },
    }
}

//! The ways out, from their settings.

use std::{collections::HashMap, sync::Arc};

use posthaste_domain::stream::StreamName;
use posthaste_mail::{
    Breaker, BreakerConfig, FileTransport, MemoryTransport, SmtpConfig, SmtpTransport, Transport,
    smtp::{AuthMechanism, ClientCertificate, Credentials, Protocol, Server, Timeouts, TlsMode},
};

use super::ComposeError;
use crate::settings::{Auth, Settings, Smtp, Stream, Tls, TransportKind};

/// The transport of each stream. One that no stream uses is not made.
pub(super) fn transports(
    settings: &Settings,
) -> Result<HashMap<StreamName, Arc<dyn Transport>>, ComposeError> {
    let mut by_name: HashMap<&str, Arc<dyn Transport>> = HashMap::new();
    for configured in &settings.transports {
        let used = settings
            .streams
            .iter()
            .any(|stream| stream.transport == configured.name);
        if used {
            by_name.insert(
                &configured.name,
                transport(settings, &configured.name, &configured.kind)?,
            );
        }
    }
    let of_stream = |stream: &Stream| {
        let transport = by_name.get(stream.transport.as_str())?;
        Some((stream.name.clone(), Arc::clone(transport)))
    };
    Ok(settings.streams.iter().filter_map(of_stream).collect())
}

fn transport(
    settings: &Settings,
    name: &str,
    kind: &TransportKind,
) -> Result<Arc<dyn Transport>, ComposeError> {
    Ok(match kind {
        TransportKind::Smtp(configured) => smtp(name, configured, Protocol::Smtp)?,
        TransportKind::Lmtp(configured) => smtp(name, configured, Protocol::Lmtp)?,
        TransportKind::File { dir } => {
            let folder = dir
                .clone()
                .unwrap_or_else(|| settings.data_dir.join("mail"));
            let opened = FileTransport::open(name, &folder);
            Arc::new(opened.map_err(|source| ComposeError::Folder {
                name: name.to_owned(),
                source,
            })?)
        }
        TransportKind::Memory => Arc::new(MemoryTransport::new(name)),
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
    let breaker = BreakerConfig {
        failures: configured.breaker_failures,
        wait: configured.breaker_wait,
        max_wait: configured.breaker_max_wait,
    };
    Ok(Arc::new(Breaker::before(opened, breaker)))
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

//! The ways out, from their settings.

use std::{collections::HashMap, sync::Arc};

use posthaste_domain::stream::StreamName;
use posthaste_mail::{
    FileTransport, MemoryTransport, SmtpConfig, SmtpTransport, Transport,
    smtp::{Credentials, Timeouts, TlsMode},
};

use super::ComposeError;
use crate::settings::{Settings, Smtp, Stream, Tls, TransportKind};

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
        TransportKind::Smtp(configured) => {
            let opened = SmtpTransport::new(name, smtp_config(configured));
            let failed = |source| ComposeError::Transport {
                name: name.to_owned(),
                source: Box::new(source),
            };
            Arc::new(opened.map_err(failed)?)
        }
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

fn smtp_config(configured: &Smtp) -> SmtpConfig {
    let credentials = configured.password.clone().map(|password| Credentials {
        username: configured.username.clone(),
        password,
    });
    SmtpConfig {
        host: configured.host.clone(),
        port: configured.port,
        tls: match configured.tls {
            Tls::Implicit => TlsMode::Implicit,
            Tls::Starttls => TlsMode::Starttls,
            Tls::Opportunistic => TlsMode::Opportunistic,
            Tls::None => TlsMode::None,
        },
        credentials,
        ca_file: configured.ca_file.clone(),
        hello_name: configured.hello_name.clone(),
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

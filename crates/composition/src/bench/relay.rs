//! Where a measured node sends to, and the mail that it sends.

use std::{fs, io, path::Path};

use crate::settings::{Settings, Smtp, Tls, Transport, TransportKind};

const NAME: &str = "relay";
/// Mails in hand for each connection, as `config/default.toml` advises.
const PERMITS_PER_CONNECTION: usize = 8;

/// A server that takes mail in clear.
#[derive(Debug, Clone)]
pub struct Relay {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Most open connections.
    pub connections: usize,
}

/// The template that measured mails are sent by.
pub mod template {
    /// Its name.
    pub const NAME: &str = "bench-order";
    /// What it is filled with.
    pub const SAMPLE: &str = include_str!("order/samples/default.json");
    /// Its files.
    pub(super) const FILES: [(&str, &str); 5] = [
        ("template.toml", include_str!("order/template.toml")),
        ("subject.txt", include_str!("order/subject.txt")),
        ("body.html", include_str!("order/body.html")),
        ("body.txt", include_str!("order/body.txt")),
        ("samples/default.json", SAMPLE),
    ];
}

impl Relay {
    /// Makes all streams send to it, and the template be there.
    pub(super) fn sent_to_by(&self, settings: &mut Settings, folder: &Path) -> io::Result<()> {
        let templates = folder.join("templates");
        let order = templates.join(template::NAME);
        fs::create_dir_all(order.join("samples"))?;
        for (name, text) in template::FILES {
            fs::write(order.join(name), text)?;
        }
        settings.templates.dir = templates.display().to_string();
        let smtp = Smtp {
            host: self.host.clone(),
            port: self.port,
            tls: Tls::None,
            connections: self.connections,
            ..settings.smtp.clone()
        };
        settings.transports = vec![Transport {
            name: NAME.to_owned(),
            place: NAME.to_owned(),
            kind: TransportKind::Smtp(Box::new(smtp)),
        }];
        let permits = PERMITS_PER_CONNECTION * self.connections;
        let of_all = permits * settings.streams.len();
        settings.queue.channel_capacity = settings.queue.channel_capacity.max(of_all);
        for stream in &mut settings.streams {
            stream.transports = vec![NAME.to_owned()];
            stream.permits = permits;
        }
        Ok(())
    }
}

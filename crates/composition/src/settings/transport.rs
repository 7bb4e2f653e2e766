//! `[transports.NAME]`, with the defaults of `[smtp]`.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use config::Value;
pub use posthaste_mail::file::Layout;
use posthaste_queue::Rate;
use secrecy::SecretString;

use super::reader::Reader;

/// A way out.
#[derive(Debug, Clone)]
pub struct Transport {
    /// Its name.
    pub name: String,
    /// Where it was given.
    pub place: String,
    /// What it is.
    pub kind: TransportKind,
}

/// What a transport is.
#[derive(Debug, Clone)]
pub enum TransportKind {
    /// To a server that speaks SMTP.
    Smtp(Box<Smtp>),
    /// To a server that speaks LMTP (RFC 2033).
    Lmtp(Box<Smtp>),
    /// Straight to the servers of each recipient's domain.
    Mx(Box<Mx>),
    /// Into a folder; `mail` in `data_dir` if none is named.
    File {
        /// The folder.
        dir: Option<PathBuf>,
        /// How mails lie in it.
        layout: Layout,
    },
    /// Into memory, and so to nobody: for trials.
    Memory,
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte (RFC 8314).
    Implicit,
    /// By STARTTLS, or not at all.
    Starttls,
    /// By STARTTLS where it is offered.
    Opportunistic,
    /// Not.
    None,
}

/// How a log-in proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// PLAIN, else LOGIN.
    Auto,
    /// PLAIN.
    Plain,
    /// LOGIN.
    Login,
    /// XOAUTH2, with an access token for a password.
    Xoauth2,
}

/// `kind = "smtp"` and `kind = "lmtp"`
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub socket: Option<PathBuf>,
    pub source_address: Option<IpAddr>,
    pub tls: Tls,
    pub auth: Auth,
    pub username: String,
    pub password: Option<SecretString>,
    pub ca_file: Option<PathBuf>,
    pub certificate_file: Option<PathBuf>,
    pub certificate_key_file: Option<PathBuf>,
    pub hello_name: String,
    pub pipelining: bool,
    pub chunking: bool,
    pub breaker_failures: u32,
    pub breaker_wait: Duration,
    pub breaker_max_wait: Duration,
    pub rate: Option<Rate>,
    pub domain_rate: Option<Rate>,
    pub domain_concurrency: Option<usize>,
    pub connections: usize,
    pub max_messages: u32,
    pub max_age: Duration,
    pub max_idle: Duration,
    pub connect_timeout: Duration,
    pub tls_timeout: Duration,
    pub greeting_timeout: Duration,
    pub command_timeout: Duration,
    pub envelope_timeout: Duration,
    pub body_timeout: Duration,
    pub dot_timeout: Duration,
}

#[derive(Clone, Copy)]
enum Word {
    Smtp,
    Lmtp,
    Mx,
    File,
    Memory,
}

impl Transport {
    pub(super) fn read(
        name: &str,
        mut table: Reader<'_>,
        smtp: &BTreeMap<String, Value>,
        mx: &BTreeMap<String, Value>,
    ) -> Self {
        let place = table.place("kind");
        let kind = table.choice(
            "kind",
            &[
                ("smtp", Word::Smtp),
                ("lmtp", Word::Lmtp),
                ("mx", Word::Mx),
                ("file", Word::File),
                ("memory", Word::Memory),
            ],
        );
        let kind = match kind {
            Word::Smtp => TransportKind::Smtp(Box::new(Smtp::read(table.or(smtp)))),
            Word::Lmtp => TransportKind::Lmtp(Box::new(Smtp::read(table.or(smtp)))),
            Word::Mx => TransportKind::Mx(Box::new(Mx::read(table.or(mx).or(smtp)))),
            Word::File => {
                let dir = table.given("dir");
                let layout = layout(&mut table);
                table.finish();
                TransportKind::File {
                    dir: dir.map(PathBuf::from),
                    layout,
                }
            }
            Word::Memory => {
                table.finish();
                TransportKind::Memory
            }
        };
        Self {
            name: name.to_owned(),
            place,
            kind,
        }
    }
}

impl Smtp {
    /// `[smtp]` itself: unknown keys and bad values are told, whether or not a transport uses it.
    pub(super) fn defaults(table: &Reader<'_>) -> Self {
        table.apart(Self::read, |problem| {
            problem.place.is_empty() || problem.message.contains("`smtp.host`")
        })
    }

    fn read(mut table: Reader<'_>) -> Self {
        let tls = table.choice(
            "tls",
            &[
                ("implicit", Tls::Implicit),
                ("starttls", Tls::Starttls),
                ("opportunistic", Tls::Opportunistic),
                ("none", Tls::None),
            ],
        );
        let host = table.given("host").unwrap_or_default();
        let smtp = Self::of_server(&mut table, tls, host);
        smtp.check(&mut table);
        table.finish();
        smtp
    }

    /// Everything but what two keys say together.
    fn of_server(table: &mut Reader<'_>, tls: Tls, host: String) -> Self {
        let auth = table.choice(
            "auth",
            &[
                ("auto", Auth::Auto),
                ("plain", Auth::Plain),
                ("login", Auth::Login),
                ("xoauth2", Auth::Xoauth2),
            ],
        );
        let port: u16 = table.integer("port", "an integer from 0 to 65535", 0, |_| true);
        let port = match (port, tls) {
            (0, Tls::Implicit) => 465,
            (0, Tls::Starttls) => 587,
            (0, Tls::Opportunistic | Tls::None) => 25,
            (port, _) => port,
        };
        Self {
            host,
            port,
            socket: path(table, "socket"),
            source_address: source_address(table),
            tls,
            auth,
            username: table.text("username"),
            password: table.secret("password"),
            ca_file: path(table, "ca_file"),
            certificate_file: path(table, "certificate_file"),
            certificate_key_file: path(table, "certificate_key_file"),
            hello_name: table.text("hello_name"),
            pipelining: table.flag("pipelining"),
            chunking: table.flag("chunking"),
            breaker_failures: table
                .integer("breaker_failures", "an integer from 1", 1, |n| *n >= 1),
            breaker_wait: table.positive_duration("breaker_wait"),
            breaker_max_wait: table.positive_duration("breaker_max_wait"),
            rate: table.rate("rate"),
            domain_rate: table.rate("domain_rate"),
            domain_concurrency: domain_concurrency(table),
            connections: table.integer("connections", "an integer from 1 to 1000", 1, |n| {
                (1..=1000).contains(n)
            }),
            max_messages: table.integer("max_messages", "an integer from 1", 1, |n| *n >= 1),
            max_age: table.duration("max_age"),
            max_idle: table.duration("max_idle"),
            connect_timeout: table.positive_duration("connect_timeout"),
            tls_timeout: table.positive_duration("tls_timeout"),
            greeting_timeout: table.positive_duration("greeting_timeout"),
            command_timeout: table.positive_duration("command_timeout"),
            envelope_timeout: table.positive_duration("envelope_timeout"),
            body_timeout: table.positive_duration("body_timeout"),
            dot_timeout: table.positive_duration("dot_timeout"),
        }
    }

    /// What two keys say together.
    fn check(&self, table: &mut Reader<'_>) {
        let anywhere = table.flag("tls_none_anywhere");
        let conflict = |key: &str, text: &str| {
            let place = table.place(key);
            table.conflict(&place, key, text);
        };
        match (&self.socket, self.host.is_empty()) {
            (None, true) => conflict("host", "the server's name must be given"),
            (Some(_), false) => conflict("socket", "a server has a host or a socket, not both"),
            (None, false) | (Some(_), true) => {}
        }
        let local = self.socket.is_some() || is_loopback(&self.host);
        if self.tls == Tls::None && !local && !anywhere {
            conflict(
                "tls",
                "mail to another machine would go in clear; set tls_none_anywhere if that is meant",
            );
        }
        if self.username.is_empty() != self.password.is_none() {
            conflict("username", "username and password belong together");
        }
        if self.password.is_some() && matches!(self.tls, Tls::Opportunistic | Tls::None) && !local {
            conflict("tls", "a password is sent over implicit or starttls only");
        }
        if self.certificate_file.is_some() != self.certificate_key_file.is_some() {
            conflict(
                "certificate_file",
                "certificate_file and certificate_key_file belong together",
            );
        }
    }
}

/// Straight to the servers of each domain.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Mx {
    /// Of each server, whose host and TLS mode follow from the domain.
    pub smtp: Smtp,
    pub required: bool,
    pub name_servers: Vec<SocketAddr>,
}

impl Mx {
    /// Tells unknown keys and bad values of `[mx]`, whether or not a transport uses it.
    pub(super) fn check_defaults(table: &Reader<'_>, smtp: &BTreeMap<String, Value>) {
        let read = |table: Reader<'_>| drop(Self::read(table.or(smtp)));
        let own: Vec<_> = table.raw().into_keys().collect();
        // What comes from `[smtp]` is told there.
        table.apart(read, |problem| {
            let is_of = |key: &String| problem.message.contains(&format!("`mx.{key}`"));
            problem.place.is_empty() || !own.iter().any(is_of)
        });
    }

    fn read(mut table: Reader<'_>) -> Self {
        let required = table.choice("tls", &[("opportunistic", false), ("required", true)]);
        let name_servers = table.list(
            "name_servers",
            "a list of addresses with ports such as [\"127.0.0.1:53\"]",
            |text| text.parse().ok(),
        );
        let host = table.given("host").unwrap_or_default();
        let smtp = Smtp::of_server(&mut table, Tls::Opportunistic, host);
        // What is of one server can be of none here.
        for (key, given) in [
            ("socket", smtp.socket.is_some()),
            ("host", !smtp.host.is_empty()),
            ("username", !smtp.username.is_empty()),
            ("password", smtp.password.is_some()),
        ] {
            if given {
                let place = table.place(key);
                let text =
                    "mail goes to the servers of each domain: there is no host and no log-in";
                table.conflict(&place, key, text);
            }
        }
        // Of one server too, and always there.
        table.flag("tls_none_anywhere");
        table.finish();
        Self {
            smtp,
            required,
            name_servers,
        }
    }
}

/// `.eml` unless it says otherwise.
fn layout(table: &mut Reader<'_>) -> Layout {
    let given = table.given("layout");
    match given.as_deref() {
        None | Some("eml") => Layout::Eml,
        Some("maildir") => Layout::Maildir,
        Some(_) => {
            let place = table.place("layout");
            table.conflict(&place, "layout", "eml or maildir");
            Layout::Eml
        }
    }
}

fn path(table: &mut Reader<'_>, key: &str) -> Option<PathBuf> {
    Some(table.text(key))
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

fn domain_concurrency(table: &mut Reader<'_>) -> Option<usize> {
    let most = table.integer("domain_concurrency", "an integer from 0 to 1000", 0, |n| {
        (0..=1000).contains(n)
    });
    (most > 0).then_some(most)
}

fn source_address(table: &mut Reader<'_>) -> Option<IpAddr> {
    let text = table.text("source_address");
    let address = text.parse().ok();
    if address.is_none() && !text.is_empty() {
        let place = table.place("source_address");
        table.conflict(
            &place,
            "source_address",
            "an IPv4 or IPv6 address, or nothing",
        );
    }
    address
}

/// Whether a host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

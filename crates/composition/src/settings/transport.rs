//! `[transports.NAME]`, with the defaults of `[smtp]`.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use config::Value;
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
    /// To a server.
    Smtp(Box<Smtp>),
    /// Into a folder; `mail` in `data_dir` if none is named.
    File {
        /// The folder.
        dir: Option<PathBuf>,
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

/// `kind = "smtp"`
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    pub username: String,
    pub password: Option<SecretString>,
    pub ca_file: Option<PathBuf>,
    pub hello_name: String,
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
    File,
    Memory,
}

impl Transport {
    pub(super) fn read(name: &str, mut table: Reader<'_>, smtp: &BTreeMap<String, Value>) -> Self {
        let place = table.place("kind");
        let kind = table.choice(
            "kind",
            &[
                ("smtp", Word::Smtp),
                ("file", Word::File),
                ("memory", Word::Memory),
            ],
        );
        let kind = match kind {
            Word::Smtp => TransportKind::Smtp(Box::new(Smtp::read(table.or(smtp)))),
            Word::File => {
                let dir = table.given("dir");
                table.finish();
                TransportKind::File {
                    dir: dir.map(PathBuf::from),
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
    /// Tells unknown keys and bad values of `[smtp]`, whether or not a transport uses it.
    pub(super) fn check_defaults(table: &Reader<'_>) {
        table.apart(
            |table| drop(Self::read(table)),
            |problem| problem.place.is_empty() || problem.message.contains("`smtp.host`"),
        );
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
        let port: u16 = table.integer("port", "an integer from 0 to 65535", 0, |_| true);
        let port = match (port, tls) {
            (0, Tls::Implicit) => 465,
            (0, Tls::Starttls) => 587,
            (0, Tls::Opportunistic | Tls::None) => 25,
            (port, _) => port,
        };
        let anywhere = table.flag("tls_none_anywhere");
        let (host_place, tls_place) = (table.place("host"), table.place("tls"));
        let username_place = table.place("username");
        let smtp = Self {
            host: table.text("host"),
            port,
            tls,
            username: table.text("username"),
            password: table.secret("password"),
            ca_file: Some(table.text("ca_file"))
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            hello_name: table.text("hello_name"),
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
        };
        if smtp.host.is_empty() {
            table.conflict(&host_place, "host", "the server's name must be given");
        }
        let local = is_loopback(&smtp.host);
        if tls == Tls::None && !local && !anywhere {
            table.conflict(
                &tls_place,
                "tls",
                "mail to another machine would go in clear; set tls_none_anywhere if that is meant",
            );
        }
        if smtp.username.is_empty() != smtp.password.is_none() {
            table.conflict(
                &username_place,
                "username",
                "username and password belong together",
            );
        }
        if smtp.password.is_some() && matches!(tls, Tls::Opportunistic | Tls::None) && !local {
            table.conflict(
                &tls_place,
                "tls",
                "a password is sent over implicit or starttls only",
            );
        }
        table.finish();
        smtp
    }
}

/// Whether a host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

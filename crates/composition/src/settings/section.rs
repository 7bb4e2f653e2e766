//! The sections, one struct each: typed, with units in the types. What each key means, and its default, stands in
//! `config/default.toml`.

mod database;
mod stream;

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use posthaste_domain::{
    address::{EmailAddress, Mailbox},
    owner::{Owner, Scope},
    stream::StreamName,
};
use posthaste_queue::Rate;
use secrecy::SecretString;

pub use self::{
    database::{Database, Place},
    stream::{Durability, Policy, Stream},
};
use super::reader::Reader;
use crate::telemetry;

/// `[http]`
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Http {
    pub address: IpAddr,
    pub port: u16,
    pub public_url: String,
    pub body_limit: u64,
    pub in_flight_limit: u64,
    pub request_timeout: Duration,
    pub trusted_proxies: Vec<IpNet>,
    pub key_rate: Option<Rate>,
    pub key_burst: u32,
}

impl Http {
    pub(super) fn read(mut table: Reader<'_>) -> Self {
        let http = Self {
            address: table.parsed("address", "an IP address", IpAddr::from([127, 0, 0, 1])),
            port: table.integer("port", "an integer from 0 to 65535", 0, |_| true),
            public_url: table
                .checked(
                    "public_url",
                    "http:// or https:// with a host, such as \"https://mail.example.com\"",
                    |url| url.is_empty() || is_web_address(url),
                )
                .trim_end_matches('/')
                .to_owned(),
            body_limit: table.positive_size("body_limit"),
            in_flight_limit: table.positive_size("in_flight_limit"),
            request_timeout: table.positive_duration("request_timeout"),
            trusted_proxies: table.list(
                "trusted_proxies",
                "a list of addresses and networks such as [\"10.0.0.0/8\", \"::1\"]",
                network,
            ),
            key_rate: table.rate("key_rate"),
            key_burst: table.integer("key_burst", "an integer from 1 to 1000000", 1, |n| {
                (1..=1_000_000).contains(n)
            }),
        };
        table.finish();
        http
    }
}

/// `[accounts]`
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Accounts {
    pub sender: Mailbox,
    pub product: String,
    pub stream: StreamName,
    pub owner: Owner,
    pub confirm_expiry: Duration,
    pub reset_expiry: Duration,
    pub access_expiry: Duration,
    pub refresh_expiry: Duration,
    pub logins_per_minute: u32,
    pub mails_per_hour: u32,
    pub password_min_length: usize,
    pub hashing_threads: usize,
    pub hashing_queue: usize,
}

impl Accounts {
    pub(super) fn read(mut table: Reader<'_>) -> Self {
        let accounts = Self {
            sender: table.parsed(
                "sender",
                "a mailbox such as \"Acme <no-reply@acme.example>\"",
                stand_in("a@b"),
            ),
            product: table.text("product"),
            stream: table.parsed("stream", "the name of a stream", stand_in("transactional")),
            owner: table.parsed(
                "owner",
                "lower-case letters, digits, `_`, `-` and `.`",
                stand_in("default"),
            ),
            confirm_expiry: table.positive_duration("confirm_expiry"),
            reset_expiry: table.positive_duration("reset_expiry"),
            access_expiry: table.positive_duration("access_expiry"),
            refresh_expiry: table.positive_duration("refresh_expiry"),
            logins_per_minute: table.integer(
                "logins_per_minute",
                "an integer from 1 to 1000000",
                1,
                |n| (1..=1_000_000).contains(n),
            ),
            mails_per_hour: table.integer(
                "mails_per_hour",
                "an integer from 1 to 1000000",
                1,
                |n| (1..=1_000_000).contains(n),
            ),
            password_min_length: table.integer(
                "password_min_length",
                "an integer from 8 to 256",
                15,
                |n| (8..=256).contains(n),
            ),
            hashing_threads: table.integer("hashing_threads", "an integer from 1 to 64", 1, |n| {
                (1..=64).contains(n)
            }),
            hashing_queue: table.integer("hashing_queue", "an integer from 1 to 100000", 1, |n| {
                (1..=100_000).contains(n)
            }),
        };
        table.finish();
        accounts
    }
}

/// `[keys.NAME]`
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct SeededKey {
    pub name: String,
    pub key: SecretString,
    pub owner: Owner,
    pub scopes: Vec<Scope>,
    pub streams: Option<Vec<StreamName>>,
    pub from_domains: Option<Vec<String>>,
}

impl SeededKey {
    pub(super) fn read(name: &str, mut table: Reader<'_>) -> Option<Self> {
        let key = table.needed_secret("key");
        let owner = table.parsed(
            "owner",
            "lower-case letters, digits, `_`, `-` and `.`",
            stand_in("default"),
        );
        let scopes = table.list("scopes", "a list of send, read, admin", |scope| {
            scope.parse().ok()
        });
        let streams = table.optional_list("streams", "a list of streams", |name| name.parse().ok());
        let domains = table.optional_list("from_domains", "a list of domains", |domain| {
            let address = format!("postmaster@{domain}").parse::<EmailAddress>();
            address
                .ok()
                .map(|address| address.domain().to_ascii_lowercase())
        });
        table.finish();
        Some(Self {
            name: name.to_owned(),
            key: key?,
            owner,
            scopes,
            streams,
            from_domains: domains,
        })
    }
}

/// `[queue]`
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Queue {
    pub poll: Duration,
    pub recent_claim: Duration,
    pub channel_capacity: usize,
    pub job_deadline: Duration,
    pub large_mail_memory: u64,
}

impl Queue {
    pub(super) fn read(mut table: Reader<'_>) -> Self {
        let queue = Self {
            poll: table.positive_duration("poll"),
            recent_claim: table.duration("recent_claim"),
            channel_capacity: table.integer(
                "channel_capacity",
                "an integer from 1 to 100000",
                1,
                |n| (1..=100_000).contains(n),
            ),
            job_deadline: table.positive_duration("job_deadline"),
            large_mail_memory: table.positive_size("large_mail_memory"),
        };
        table.finish();
        queue
    }
}

/// `[templates]`
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Templates {
    pub dir: String,
    pub allow_broken: bool,
}

impl Templates {
    pub(super) fn read(mut table: Reader<'_>) -> Self {
        let templates = Self {
            dir: table.text("dir"),
            allow_broken: table.flag("allow_broken"),
        };
        table.finish();
        templates
    }
}

/// `[scheduler]` and `[retention]`
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct CleanUp {
    pub every: Duration,
    pub batch: u32,
    pub idempotency_keys: Duration,
    pub tokens: Duration,
    pub nodes: Duration,
    pub bodies: Duration,
    pub messages: Duration,
}

impl CleanUp {
    pub(super) fn read(mut scheduler: Reader<'_>, mut retention: Reader<'_>) -> Self {
        let clean_up = Self {
            every: scheduler.positive_duration("clean_up"),
            batch: scheduler.integer("clean_up_batch", "an integer from 1 to 100000", 1, |n| {
                (1..=100_000).contains(n)
            }),
            idempotency_keys: retention.duration("idempotency_keys"),
            tokens: retention.duration("tokens"),
            nodes: retention.duration("nodes"),
            bodies: retention.duration("bodies"),
            messages: retention.duration("messages"),
        };
        scheduler.finish();
        retention.finish();
        clean_up
    }
}

/// `[shutdown]`
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Shutdown {
    pub announce: Duration,
    pub finish: Duration,
    pub budget: Duration,
}

impl Shutdown {
    pub(super) fn read(mut table: Reader<'_>) -> Self {
        let shutdown = Self {
            announce: table.duration("announce"),
            finish: table.positive_duration("finish"),
            budget: table.positive_duration("budget"),
        };
        table.finish();
        shutdown
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// `[log]`
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
}

impl Log {
    pub(super) fn read(mut table: Reader<'_>) -> Self {
        let log = Self {
            filter: table.checked(
                "filter",
                "a filter such as \"info\" or \"info,posthaste_mail=debug\"",
                |filter| telemetry::filter(filter).is_ok(),
            ),
            format: table.choice(
                "format",
                &[
                    ("auto", LogFormat::Auto),
                    ("text", LogFormat::Text),
                    ("json", LogFormat::Json),
                ],
            ),
        };
        table.finish();
        log
    }
}

/// Whether a text begins as the addresses of links do: scheme and host.
fn is_web_address(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':']))
        && !text.contains(char::is_whitespace)
}

/// A network, or a single address.
fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address)
}

/// A value to go on with after a problem was noted.
pub(super) fn stand_in<T: std::str::FromStr>(text: &str) -> T {
    text.parse().ok().expect("stand-ins are valid")
}

//! `posthaste bench`: its arguments.

use std::str::FromStr;

use clap::{Args, Subcommand, builder::RangedU64ValueParser};

use crate::bench::Options;

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Accept mail over HTTP: the rate with each mail on disk, as a share of the same server's without a store.
    Accept(Arguments),
    /// Put jobs that do nothing into the durable queue and drain them; memory, and the wait for a handler.
    Queue(Arguments),
    /// Send mail, from the submit over HTTP to a server that takes it: accept, drain, and both at once.
    Send(Send),
}

/// What is sent to, and how.
#[derive(Debug, Clone, Args)]
pub struct Send {
    /// The server, which must keep nothing and send nothing on [default: one of our own in this process].
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) smtp: Option<Server>,
    /// Most open connections to it.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = RangedU64ValueParser::<usize>::new().range(1..=1000))]
    pub(crate) connections: usize,
    #[command(flatten)]
    arguments: Arguments,
}

/// A host and a port.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl FromStr for Server {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected HOST:PORT";
        let (host, port) = text.rsplit_once(':').ok_or(expected)?;
        let port = port.parse().map_err(|_| expected)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(expected);
        }
        Ok(Self { host, port })
    }
}

/// How it is measured.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Where: sqlite:FILE (a new one), or postgres://… (a schema of its own there); removed afterwards [default: a SQLite
    /// file in a new folder below `data_dir`].
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Requests or jobs in one run.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = at_least_one())]
    jobs: u64,
    /// How many are under way at a time.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    in_flight: usize,
    /// Runs that take turns.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = RangedU64ValueParser::<usize>::new().range(1..=1000))]
    rounds: usize,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

fn at_least_one() -> RangedU64ValueParser<u64> {
    RangedU64ValueParser::new().range(1..=100_000_000)
}

impl Bench {
    fn arguments(&self) -> &Arguments {
        match self {
            Self::Accept(arguments) | Self::Queue(arguments) => arguments,
            Self::Send(send) => &send.arguments,
        }
    }

    pub(crate) fn database(&self) -> Option<&str> {
        self.arguments().database.as_deref()
    }

    pub(crate) fn as_json(&self) -> bool {
        self.arguments().json
    }

    pub(crate) fn options(&self) -> Options {
        let Arguments {
            jobs,
            in_flight,
            rounds,
            ..
        } = *self.arguments();
        Options {
            jobs,
            in_flight,
            rounds,
        }
    }
}

//! `posthaste bench`: what this machine and a database can do.
//!
//! It is told as ratios of runs that took turns, since a machine that others use makes every absolute figure doubtful.
//! Each bench works on a database of its own that is gone afterwards.

mod accept;
pub mod figures;
pub mod load;
mod nowhere;
mod pick_up;
mod queue;
mod send;
mod sink;
mod work;

use std::{io, path::Path};

use posthaste_composition::{
    ComposeError,
    bench::{Ground, GroundError, Relay},
    settings::{Log, Settings},
    telemetry::{self, TelemetryError},
};
use posthaste_queue::QueueError;
use serde::Serialize;

use self::sink::Sink;
use crate::{
    cli::{bench::Bench, say},
    failure::Failure,
};

/// Why a bench could not measure.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// Logging.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The database to measure on.
    #[error(transparent)]
    Ground(#[from] GroundError),
    /// A node on it.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The load, or a server under it.
    #[error("the load could not be run to its end")]
    Load(#[from] io::Error),
    /// The queue.
    #[error("the queue did not take a job")]
    Queue(#[from] QueueError),
    /// Anything else.
    #[error("the measurement broke off")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl BenchError {
    fn other(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(source.into())
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Requests or jobs in one run.
    pub jobs: u64,
    /// How many of them are under way at a time.
    pub in_flight: usize,
    /// Runs that take turns.
    pub rounds: usize,
}

/// Measures and prints, and gives the exit code.
///
/// # Errors
/// [`Failure::Bench`].
pub async fn run(bench: &Bench, settings: &Settings, working_dir: &Path) -> Result<u8, Failure> {
    // Lines about each request would be measured too; what goes wrong is still told.
    let log = Log {
        filter: "warn".to_owned(),
        ..settings.log.clone()
    };
    telemetry::init(&log).map_err(BenchError::from)?;
    let (ground, sink) = ground(bench, settings, working_dir).await?;
    let told = measure(bench, &ground, sink.as_ref()).await;
    let removed = ground.remove().await.map_err(BenchError::from);
    let told = told?;
    say(&told);
    removed?;
    Ok(0)
}

/// The ground, and a sink of ours where mails are sent and no other server is named.
async fn ground(
    bench: &Bench,
    settings: &Settings,
    working_dir: &Path,
) -> Result<(Ground, Option<Sink>), BenchError> {
    let database = bench.database();
    let Bench::Send(send) = bench else {
        let ground = Ground::make(settings, working_dir, database).await?;
        return Ok((ground, None));
    };
    let (sink, (host, port)) = match &send.smtp {
        Some(server) => (None, (server.host.clone(), server.port)),
        None => {
            let sink = Sink::start()?;
            let (ip, port) = (sink.address.ip(), sink.address.port());
            (Some(sink), (ip.to_string(), port))
        }
    };
    let relay = Relay {
        host,
        port,
        connections: send.connections,
    };
    let ground = Ground::sending(settings, working_dir, database, &relay).await?;
    Ok((ground, sink))
}

async fn measure(
    bench: &Bench,
    ground: &Ground,
    sink: Option<&Sink>,
) -> Result<String, BenchError> {
    let options = bench.options();
    match bench {
        Bench::Accept(_) => {
            let report = accept::run(ground, &options).await?;
            Ok(told(bench, &report, || report.lines()))
        }
        Bench::Queue(_) => {
            let report = queue::run(ground, &options).await?;
            Ok(told(bench, &report, || report.lines()))
        }
        Bench::Send(send) => {
            let report = send::run(ground, &options, send.connections, sink).await?;
            Ok(told(bench, &report, || report.lines()))
        }
    }
}

fn told(bench: &Bench, report: &impl Serialize, lines: impl FnOnce() -> Vec<String>) -> String {
    if bench.as_json() {
        serde_json::to_string(report).expect("a report is texts and numbers")
    } else {
        lines().join("\n")
    }
}

fn percent(ratio: f64) -> String {
    format!("{:.0} %", ratio * 100.0)
}

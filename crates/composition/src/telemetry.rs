//! Log lines: text for people on a terminal, JSON for machines.

use std::io::IsTerminal;

use tracing_subscriber::{
    EnvFilter, filter::ParseError, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::settings::{Log, LogFormat};

/// Kept quiet whatever the filter says: what they log at debug level holds whole mails or statements.
const QUIET: [&str; 3] = ["lettre=info", "sqlx=warn", "sea_orm=warn"];

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("log.filter cannot be read")]
    Filter(#[source] ParseError),
    /// Something else in this process logs already.
    #[error("logging is set up already")]
    Twice,
}

/// The filter that a text stands for. The settings are checked by it too, before anything starts.
pub(crate) fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(format!("{text},{}", QUIET.join(",")))
}

/// Sends log lines to standard error.
///
/// # Errors
/// [`TelemetryError`].
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    let filter = filter(&log.filter).map_err(TelemetryError::Filter)?;
    let registry = tracing_subscriber::registry().with(filter);
    let terminal = std::io::stderr().is_terminal();
    let text = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let set = if text {
        let lines = fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(terminal)
            .with_target(false);
        registry.with(lines).try_init()
    } else {
        registry
            .with(fmt::layer().json().with_writer(std::io::stderr))
            .try_init()
    };
    set.map_err(|_| TelemetryError::Twice)
}

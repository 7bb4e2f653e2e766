//! Why the binary gives up, as it is printed: a stable code, the cause once, and what to do.

use std::{fmt, net::SocketAddr};

use posthaste_composition::{
    ComposeError, OpenError,
    dkim::{NewKeyError, OPENSSL},
    secret_key::SecretKeyError,
    settings::Problem,
};
use posthaste_domain::{id::KeyId, stores::StoreError, token::NoRandomness};
use posthaste_host::HostError;

use crate::bench::BenchError;

/// The arguments make no sense.
const BAD_USAGE: u8 = 2;
/// Settings cannot be used.
const BAD_SETTINGS: u8 = 3;
/// Something that the process needs is not there.
const NOT_AVAILABLE: u8 = 4;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The settings, with every problem.
    Settings(Vec<Problem>),
    /// Logging.
    Telemetry(posthaste_composition::telemetry::TelemetryError),
    /// The port is taken.
    PortTaken(SocketAddr),
    /// The address cannot be listened on.
    Listen(SocketAddr, std::io::Error),
    /// The services could not be put together.
    Compose(ComposeError),
    /// A service did not start.
    Host(HostError),
    /// A measurement.
    Bench(BenchError),
    /// A key that could not be made.
    NewKey(NewKeyError),
    /// The store failed.
    Store(StoreError),
    /// There is no such API key, or it has ended.
    NoApiKey(KeyId),
    /// The system gave no random bytes.
    NoRandomness(NoRandomness),
    /// No key is configured that signs mail from this domain.
    NoDkimKey(String),
}

impl From<NewKeyError> for Failure {
    fn from(error: NewKeyError) -> Self {
        Self::NewKey(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Compose(error) => Self::Compose(error),
            BenchError::Telemetry(error) => Self::Telemetry(error),
            BenchError::Ground(_)
            | BenchError::Load(_)
            | BenchError::Queue(_)
            | BenchError::Other(_) => Self::Bench(error),
        }
    }
}

impl From<ComposeError> for Failure {
    fn from(error: ComposeError) -> Self {
        Self::Compose(error)
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Telemetry(_) => BAD_SETTINGS,
            Self::PortTaken(_) | Self::Listen(..) => NOT_AVAILABLE,
            Self::Compose(error) => match error {
                ComposeError::TemplateFiles(_)
                | ComposeError::Templates(_)
                | ComposeError::Worker(_)
                | ComposeError::Transport { .. }
                | ComposeError::CleanUp(_) => BAD_SETTINGS,
                ComposeError::DataDir { .. }
                | ComposeError::SecretKey(_)
                | ComposeError::Open(_)
                | ComposeError::TemplateVersions(_)
                | ComposeError::Folder { .. }
                | ComposeError::Hasher(_) => NOT_AVAILABLE,
            },
            Self::Bench(BenchError::Ground(_)) | Self::NewKey(NewKeyError::NoOpenssl(_)) => {
                NOT_AVAILABLE
            }
            Self::NewKey(NewKeyError::Key(_)) => BAD_USAGE,
            Self::Store(_) => NOT_AVAILABLE,
            Self::Host(_)
            | Self::Bench(_)
            | Self::NewKey(_)
            | Self::NoDkimKey(_)
            | Self::NoApiKey(_)
            | Self::NoRandomness(_) => 1,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Settings(_) | Self::Telemetry(_) => "E0305",
            Self::PortTaken(_) => "E0110",
            Self::Listen(..) => "E0111",
            Self::Host(_) => "E0101",
            Self::Bench(BenchError::Ground(_)) => "E0208",
            Self::Bench(_) => "E0112",
            Self::NewKey(_) => "E0503",
            Self::NoDkimKey(_) => "E0504",
            Self::NoApiKey(_) => "E0601",
            Self::NoRandomness(_) => "E0602",
            Self::Store(_) => "E0206",
            Self::Compose(error) => match error {
                ComposeError::Open(OpenError::InUse(_)) => "E0201",
                ComposeError::DataDir { .. }
                | ComposeError::SecretKey(SecretKeyError::Io { .. })
                | ComposeError::Open(OpenError::NotWritable { .. }) => "E0202",
                ComposeError::SecretKey(SecretKeyError::Invalid(_)) => "E0207",
                ComposeError::Open(OpenError::Pending(_)) => "E0203",
                ComposeError::Open(OpenError::TooNew(_)) => "E0204",
                ComposeError::Open(OpenError::NotDurable { .. }) => "E0205",
                ComposeError::Open(OpenError::Database(_) | OpenError::Thread(_))
                | ComposeError::TemplateVersions(_) => "E0206",
                ComposeError::TemplateFiles(_) => "E0402",
                ComposeError::Templates(_) => "E0401",
                ComposeError::Folder { .. } => "E0501",
                ComposeError::Transport { .. } => "E0502",
                ComposeError::Hasher(_) | ComposeError::Worker(_) | ComposeError::CleanUp(_) => {
                    "E0102"
                }
            },
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::PortTaken(address) => format!(
                "stop what listens there, or: posthaste serve --http {}:{}   (no other port is taken silently: your \
                 application would not find it)",
                address.ip(),
                address.port().saturating_add(1)
            ),
            Self::Compose(ComposeError::Open(OpenError::InUse(_))) => {
                "one process serves a SQLite file; stop the other one, or give this one another data_dir".to_owned()
            }
            Self::Compose(
                ComposeError::Open(OpenError::NotWritable { .. })
                | ComposeError::DataDir { .. }
                | ComposeError::SecretKey(SecretKeyError::Io { .. }),
            ) => "give this user the right to write there, or set data_dir to another folder".to_owned(),
            Self::Compose(ComposeError::SecretKey(SecretKeyError::Invalid(_))) => {
                "put the right key back; without it, account mails that wait cannot be sent".to_owned()
            }
            Self::Compose(ComposeError::Open(OpenError::Pending(_))) => "posthaste db migrate".to_owned(),
            Self::Compose(ComposeError::Open(OpenError::TooNew(_))) => {
                "run the release that made this schema, or a later one".to_owned()
            }
            Self::Compose(ComposeError::Templates(_)) => {
                "mend them, or start without them: templates.allow_broken = true".to_owned()
            }
            Self::Compose(ComposeError::Folder { .. }) => {
                "give this user the right to write there, or set `dir` of the transport".to_owned()
            }
            Self::NewKey(NewKeyError::NoOpenssl(_)) => format!(
                "where there is one: {} -out FILE   (its record: posthaste dkim show DOMAIN, once key_file names it)",
                OPENSSL.join(" ")
            ),
            Self::NoDkimKey(domain) => format!("posthaste dkim new {domain}"),
            Self::NoApiKey(_) => "posthaste keys list".to_owned(),
            _ => return None,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Settings(problems) = self {
            let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
            return f.write_str(&lines.join("\n"));
        }
        write!(f, "error[{}]: ", self.code())?;
        match self {
            Self::Settings(_) => {}
            Self::Telemetry(error) => chain(f, error)?,
            Self::PortTaken(address) => write!(f, "port {} is in use", address.port())?,
            Self::Listen(address, error) => {
                write!(f, "{address} cannot be listened on\n  cause: {error}")?
            }
            Self::Compose(ComposeError::Templates(error)) => {
                write!(f, "{error}")?;
                error
                    .0
                    .iter()
                    .try_for_each(|problem| write!(f, "\n  {problem}"))?;
            }
            Self::Compose(error) => chain(f, error)?,
            Self::Host(error) => chain(f, error)?,
            Self::Bench(error) => chain(f, error)?,
            Self::NewKey(error) => chain(f, error)?,
            Self::NoDkimKey(domain) => write!(f, "no key signs mail from {domain}")?,
            Self::NoApiKey(id) => write!(f, "there is no API key {id}, or it has ended")?,
            Self::NoRandomness(error) => chain(f, error)?,
            Self::Store(error) => chain(f, error)?,
        }
        self.help()
            .map_or(Ok(()), |help| write!(f, "\n  help: {help}"))
    }
}

/// An error and what caused it, each fact once.
fn chain(f: &mut fmt::Formatter<'_>, error: &dyn std::error::Error) -> fmt::Result {
    write!(f, "{error}")?;
    let mut source = error.source();
    while let Some(cause) = source {
        write!(f, "\n  cause: {cause}")?;
        source = cause.source();
    }
    Ok(())
}

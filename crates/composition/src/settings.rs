//! The configuration: layers, sections, and every problem at once.
//!
//! Later layers win: `config/default.toml`, `config/{environment}.toml`, a file of the operator's, bare variables such as
//! `DATABASE_URL`, `POSTHASTE__SECTION__KEY`, flags. Only this module reads settings; it is given the environment and the
//! working directory and asks the process for neither.

mod dkim;
mod layer;
mod notes;
mod problem;
mod reader;
mod rules;
mod section;
mod transport;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use config::{Config, Map, ValueKind};
use layer::Layer;
use notes::Notes;
use posthaste_domain::{address::EmailAddress, stream::StreamName};
use posthaste_mail::Signer;
use reader::Reader;

pub use self::{
    notes::Shown,
    problem::{Code, Problem},
    section::{
        Accounts, CleanUp, Database, Durability, Http, Log, LogFormat, Place, Policy, Queue,
        SeededKey, Shutdown, Stream, Templates,
    },
    transport::{Auth, Layout, Mx, Smtp, Tls, Transport, TransportKind},
};

/// Which shipped layer applies, and how careful to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// On one's own machine: nothing leaves it, nobody else reaches it.
    Development,
    /// For real.
    Production,
}

impl Environment {
    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Answers requests.
    Api,
    /// Sends mail.
    Worker,
    /// Runs recurring tasks.
    Scheduler,
}

impl Role {
    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Scheduler => "scheduler",
        }
    }
}

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The process's environment.
    pub variables: BTreeMap<String, String>,
    /// The folder with `default.toml` and the environments' files; the copies in the binary for what it lacks.
    pub config_dir: Option<PathBuf>,
    /// The operator's file.
    pub file: Option<PathBuf>,
    /// `--http ADDRESS:PORT`.
    pub http: Option<String>,
}

/// Everything that is configured.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Settings {
    pub environment: Environment,
    pub data_dir: PathBuf,
    pub redirect_all: Option<EmailAddress>,
    /// Whether recipients at `resend.dev` are simulated too.
    pub simulate_resend_dev: bool,
    pub roles: Vec<Role>,
    pub http: Http,
    pub accounts: Accounts,
    pub keys: Vec<SeededKey>,
    pub database: Database,
    pub queue: Queue,
    pub streams: Vec<Stream>,
    pub transports: Vec<Transport>,
    /// What a transport of kind smtp has unless it says otherwise.
    pub smtp: Smtp,
    pub dkim: Signer,
    pub templates: Templates,
    pub clean_up: CleanUp,
    pub shutdown: Shutdown,
    pub log: Log,
}

/// Settings, and where they came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Every value with its origin, secrets hidden.
    pub shown: Vec<Shown>,
    /// The layers, in words, for the first line of output.
    pub layers: String,
}

const DEFAULT: &str = include_str!("../../../config/default.toml");
const DEVELOPMENT: &str = include_str!("../../../config/development.toml");
const PRODUCTION: &str = include_str!("../../../config/production.toml");

impl Settings {
    /// Loads the settings.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn load(sources: &Sources) -> Result<Loaded, Vec<Problem>> {
        let notes = Notes::default();
        let environment = environment(sources, &notes);
        let (layers, names) = layers(sources, environment, &notes);
        let merged = layers
            .into_iter()
            .fold(Config::builder(), |builder, layer| {
                builder.add_source(layer)
            })
            .build();
        let root = match merged.map(|merged| merged.cache.kind) {
            Ok(ValueKind::Table(root)) => root,
            Ok(_) => Map::new(),
            Err(error) => {
                notes.problem(Problem::new(Code::Conflict, "", error.to_string()));
                Map::new()
            }
        };
        let mut settings = read(environment, Reader::new("", root, &notes));
        settings.complete(&notes);
        let mut problems = notes.problems.into_inner();
        if problems.is_empty() {
            let mut shown = notes.shown.into_inner();
            shown.sort_by(|a, b| a.key.cmp(&b.key));
            return Ok(Loaded {
                settings,
                shown,
                layers: names.join(" + "),
            });
        }
        problems.sort_by(|a, b| a.order().cmp(&b.order()));
        problems.dedup();
        Err(problems)
    }
}

fn environment(sources: &Sources, notes: &Notes) -> Environment {
    match sources
        .variables
        .get("POSTHASTE_ENVIRONMENT")
        .map(String::as_str)
    {
        None | Some("development") => Environment::Development,
        Some("production") => Environment::Production,
        Some(other) => {
            let message = format!("{other:?}: expected development or production");
            notes.problem(Problem::new(
                Code::BadValue,
                "POSTHASTE_ENVIRONMENT",
                message,
            ));
            Environment::Production
        }
    }
}

fn layers(sources: &Sources, environment: Environment, notes: &Notes) -> (Vec<Layer>, Vec<String>) {
    let shipped = match environment {
        Environment::Development => DEVELOPMENT,
        Environment::Production => PRODUCTION,
    };
    let mut layers = Vec::new();
    let mut names = Vec::new();
    let mut add = |name: String, layer: Result<Layer, Problem>| match layer {
        Ok(layer) => {
            layers.push(layer);
            names.push(name);
        }
        Err(problem) => notes.problem(problem),
    };
    for (name, copy) in [
        ("default.toml", DEFAULT),
        (&*format!("{}.toml", environment.as_str()), shipped),
    ] {
        let own = sources
            .config_dir
            .as_ref()
            .map(|folder| folder.join(name))
            .filter(|path| path.is_file());
        match own {
            Some(path) => add(path.display().to_string(), from_file(&path)),
            None => add(
                format!("{name} (built in)"),
                Layer::toml(&format!("config/{name}"), copy),
            ),
        }
    }
    if let Some(path) = &sources.file {
        add(path.display().to_string(), from_file(path));
    }
    let variables = sources
        .variables
        .keys()
        .filter(|name| name.starts_with(layer::PREFIX))
        .count();
    layers.push(Layer::environment(&sources.variables));
    if variables > 0 {
        names.push(format!("{variables} variables"));
    }
    if let Some(http) = &sources.http {
        match http.rsplit_once(':') {
            Some((address, port)) => {
                layers.push(Layer::flag(
                    "http.address",
                    "--http",
                    address.trim_matches(['[', ']']),
                ));
                layers.push(Layer::flag("http.port", "--http", port));
            }
            None => notes.problem(Problem::new(
                Code::BadValue,
                "--http",
                format!("{http:?}: expected ADDRESS:PORT"),
            )),
        }
    }
    (layers, names)
}

fn from_file(path: &Path) -> Result<Layer, Problem> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error: io::Error| {
        Problem::new(Code::Unreadable, &name, format!("cannot be read: {error}"))
    })?;
    Layer::toml(&name, &text)
}

fn read(environment: Environment, mut root: Reader<'_>) -> Settings {
    let smtp = root.table("smtp");
    let smtp_defaults = Smtp::defaults(&smtp);
    let smtp = smtp.raw();
    let mx = root.table("mx");
    Mx::check_defaults(&mx, &smtp);
    let mx = mx.raw();
    let streams = root.table("streams");
    let first = streams
        .raw()
        .get("transactional")
        .and_then(|value| value.clone().into_table().ok())
        .unwrap_or_default();
    let first: BTreeMap<_, _> = first.into_iter().collect();
    let mut read_streams = Vec::new();
    for (name, table) in streams.tables() {
        match name.parse::<StreamName>() {
            Ok(stream) => read_streams.push(Stream::read(stream, table.or(&first))),
            Err(error) => table.refuse(&error.to_string()),
        }
    }
    let settings = Settings {
        environment,
        data_dir: PathBuf::from(root.text("data_dir")),
        redirect_all: redirect_all(&mut root),
        simulate_resend_dev: simulate_resend_dev(root.table("simulator")),
        roles: root.list(
            "roles",
            "a list of api, worker, scheduler",
            |role| match role {
                "api" => Some(Role::Api),
                "worker" => Some(Role::Worker),
                "scheduler" => Some(Role::Scheduler),
                _ => None,
            },
        ),
        http: Http::read(root.table("http")),
        accounts: Accounts::read(root.table("accounts")),
        keys: root
            .table("keys")
            .tables()
            .into_iter()
            .filter_map(|(name, table)| SeededKey::read(&name, table))
            .collect(),
        database: Database::read(root.table("database")),
        queue: Queue::read(root.table("queue")),
        streams: read_streams,
        transports: root
            .table("transports")
            .tables()
            .into_iter()
            .map(|(name, table)| Transport::read(&name, table, &smtp, &mx))
            .collect(),
        smtp: smtp_defaults,
        dkim: dkim::read(root.table("dkim")),
        templates: Templates::read(root.table("templates")),
        clean_up: CleanUp::read(root.table("scheduler"), root.table("retention")),
        shutdown: Shutdown::read(root.table("shutdown")),
        log: Log::read(root.table("log")),
    };
    root.finish();
    settings
}

fn redirect_all(root: &mut Reader<'_>) -> Option<EmailAddress> {
    let sound = |text: &str| text.is_empty() || text.parse::<EmailAddress>().is_ok();
    let text = root.checked("redirect_all", "an address, or nothing", sound);
    text.parse().ok()
}

fn simulate_resend_dev(mut table: Reader<'_>) -> bool {
    let simulated = table.flag("resend_dev");
    table.finish();
    simulated
}

#[cfg(test)]
mod tests;

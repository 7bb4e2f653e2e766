//! The command line: what can be asked of the binary, and how it answers on a terminal.

pub mod bench;
pub mod dkim;
pub mod keys;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand};
use posthaste_composition::settings::{Loaded, Settings, Sources};

use self::{bench::Bench, dkim::Dkim, keys::Keys};
use crate::failure::Failure;

const EXAMPLES: &str = "Examples:
  posthaste                                   serve on SQLite, mail captured in a folder
  posthaste serve --config posthaste.toml     serve with your own settings
  posthaste config check --config posthaste.toml
  posthaste config show                       every setting, and where it comes from
  posthaste keys new shop --scopes send       a key for an application
  posthaste dkim new example.com              a key to sign mail by, and the record to publish
  posthaste bench accept                      what is left of a server's rate with each mail on disk";

/// The mail desk of an application.
#[derive(Debug, Parser)]
#[command(name = "posthaste", version, before_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do; `serve` if nothing is said.
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    serve: Serve,
}

/// Where settings are read from.
#[derive(Debug, Clone, Args)]
struct Files {
    /// Your settings: only what differs from the defaults.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Folder with default.toml and the environments' files [default: ./config if it is there].
    #[arg(long, value_name = "DIR", global = true)]
    config_dir: Option<PathBuf>,
}

/// How to serve.
#[derive(Debug, Clone, Default, Args)]
pub struct Serve {
    /// Listen here instead of where the settings say.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: Option<String>,
    /// Refuse to start when migrations are pending, instead of applying them.
    #[arg(long)]
    pub no_migrate: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve: API, worker and scheduler in one process.
    Serve(Serve),
    /// Look at the settings.
    #[command(subcommand)]
    Config(Config),
    /// Work on the database.
    #[command(subcommand)]
    Db(Db),
    /// Measure this machine and a database.
    #[command(subcommand)]
    Bench(Bench),
    /// Make keys that sign mail, and print their records.
    #[command(subcommand)]
    Dkim(Dkim),
    /// Make, list, replace and remove API keys in the database.
    #[command(subcommand)]
    Keys(Keys),
}

#[derive(Debug, Subcommand)]
enum Config {
    /// Tell every problem of the settings at once; exit code 3 if there is one.
    Check,
    /// Print every setting and where it comes from, secrets hidden.
    Show {
        /// Hide hosts, addresses and paths too: fit to paste in an issue.
        #[arg(long)]
        redact: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Db {
    /// Apply pending migrations.
    Migrate,
}

impl Cli {
    /// Does what was asked, and gives the exit code.
    ///
    /// # Errors
    /// [`Failure`], to be printed.
    pub async fn run(
        self,
        environment: BTreeMap<String, String>,
        working_dir: PathBuf,
    ) -> Result<u8, Failure> {
        let serve = match &self.command {
            Some(Command::Serve(serve)) => serve.clone(),
            None => self.serve.clone(),
            Some(
                Command::Config(_)
                | Command::Db(_)
                | Command::Bench(_)
                | Command::Dkim(_)
                | Command::Keys(_),
            ) => Serve::default(),
        };
        let usual = PathBuf::from("config");
        let is_there = working_dir.join(&usual).is_dir();
        let sources = Sources {
            variables: environment,
            config_dir: self.files.config_dir.or_else(|| is_there.then_some(usual)),
            file: self.files.config,
            http: serve.http.clone(),
        };
        let load = || Settings::load(&sources).map_err(Failure::Settings);
        match self.command {
            None | Some(Command::Serve(_)) => {
                crate::serve::serve(load()?, &serve, &working_dir).await
            }
            Some(Command::Config(Config::Check)) => {
                say(&format!("the settings are sound · {}", load()?.layers));
                Ok(0)
            }
            Some(Command::Config(Config::Show { redact })) => {
                show(&load()?, redact);
                Ok(0)
            }
            Some(Command::Db(Db::Migrate)) => migrate(&load()?).await,
            Some(Command::Bench(bench)) => {
                crate::bench::run(&bench, &load()?.settings, &working_dir).await
            }
            // A key is made before the settings that name it.
            Some(Command::Dkim(Dkim::New(new))) => new.run(&working_dir),
            Some(Command::Dkim(Dkim::Show(show))) => show.run(&load()?.settings),
            Some(Command::Keys(keys)) => keys.run(&load()?.settings).await,
        }
    }
}

async fn migrate(loaded: &Loaded) -> Result<u8, Failure> {
    let opened = posthaste_composition::migrate(&loaded.settings).await?;
    say(&match opened.migrations {
        0 => "the schema is up to date".to_owned(),
        applied => format!("{applied} migrations applied"),
    });
    Ok(0)
}

fn show(loaded: &Loaded, redact: bool) {
    let hidden = [
        "host", "domain", "address", "path", "dir", "url", "sender", "file",
    ];
    for shown in &loaded.shown {
        let last = shown.key.rsplit('.').next().unwrap_or_default();
        let hide =
            redact && !shown.value.is_empty() && hidden.iter().any(|word| last.contains(word));
        let (value, origin) = if hide {
            ("…", "…")
        } else {
            (shown.value.as_str(), shown.origin.as_str())
        };
        say(&format!("{} = {value}\t# {origin}", shown.key));
    }
}

/// A line for people, or data for another program. A reader that has gone is no error.
pub(crate) fn say(line: &str) {
    writeln!(io::stdout(), "{line}").ok();
}

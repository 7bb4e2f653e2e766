//! `posthaste dkim`: keys that sign mail, and the records by which receivers check them.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use posthaste_composition::{
    Settings,
    dkim::{self, Algorithm, DkimKey, DnsRecord},
};
use posthaste_domain::address::EmailAddress;
use serde_json::{Value, json};

use super::say;
use crate::failure::Failure;

/// What is done with keys.
#[derive(Debug, Subcommand)]
pub enum Dkim {
    /// Make a key, and print what to publish and what to set. Reads no settings.
    New(New),
    /// Print the records of the configured keys that sign mail from a domain.
    Show(Show),
}

/// Which key is made.
#[derive(Debug, Args)]
pub struct New {
    /// The domain that mail comes from.
    #[arg(value_parser = domain)]
    domain: String,
    /// The name of the key below the domain [default: posthaste-ed25519 or posthaste-rsa].
    #[arg(long, value_name = "NAME")]
    selector: Option<String>,
    /// Every receiver checks rsa (2048 bits, made by openssl), many check ed25519: a domain is best served by one of each.
    #[arg(long, value_enum, default_value_t = Kind::Ed25519)]
    algorithm: Kind,
    /// Where the key goes; no file is overwritten [default: SELECTOR.DOMAIN.pem].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Which records are printed.
#[derive(Debug, Args)]
pub struct Show {
    /// The domain that mail comes from; keys of a domain above it sign for it.
    #[arg(value_parser = domain)]
    domain: String,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// How a key signs, by the word for it.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Ed25519,
    Rsa,
}

impl Kind {
    fn of(algorithm: Algorithm) -> &'static str {
        match algorithm {
            Algorithm::Ed25519 => "ed25519",
            Algorithm::Rsa => "rsa",
        }
    }
}

impl From<Kind> for Algorithm {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Ed25519 => Self::Ed25519,
            Kind::Rsa => Self::Rsa,
        }
    }
}

impl New {
    /// Makes the key.
    ///
    /// # Errors
    /// [`Failure::NewKey`].
    pub(super) fn run(self, working_dir: &Path) -> Result<u8, Failure> {
        let algorithm = Algorithm::from(self.algorithm);
        let usual = || format!("posthaste-{}", Kind::of(algorithm));
        let selector = self.selector.unwrap_or_else(usual);
        let usual = || PathBuf::from(format!("{selector}.{}.pem", self.domain));
        // Settings are read from wherever the server is started.
        let file = working_dir.join(self.out.unwrap_or_else(usual));
        let key = dkim::new_key(&self.domain, &selector, algorithm, &file)?;
        if self.json {
            let mut shown = as_json(&key);
            shown["file"] = json!(file);
            say(&shown.to_string());
            return Ok(0);
        }
        say(&format!(
            "The key is in {}; nobody else can read it.\n",
            file.display()
        ));
        say(&format!(
            "Publish in the zone of {}:\n\n  {}\n",
            key.domain(),
            zone_line(&key.record())
        ));
        say("Then add to the settings, and see to it with `posthaste config check`:\n");
        say(&format!("  [dkim.{}]", section(&key)));
        for (name, value) in [
            ("domain", key.domain()),
            ("selector", key.selector()),
            ("key_file", &*file.to_string_lossy()),
        ] {
            say(&format!("  {name} = {value:?}"));
        }
        Ok(0)
    }
}

impl Show {
    /// Prints the records.
    ///
    /// # Errors
    /// [`Failure::NoDkimKey`].
    pub(super) fn run(&self, settings: &Settings) -> Result<u8, Failure> {
        let keys = settings.dkim.keys_for(&self.domain);
        if keys.is_empty() {
            return Err(Failure::NoDkimKey(self.domain.clone()));
        }
        if self.json {
            let records: Vec<Value> = keys.iter().map(|key| as_json(key)).collect();
            say(&json!({ "data": records }).to_string());
        } else {
            keys.iter().for_each(|key| say(&zone_line(&key.record())));
        }
        Ok(0)
    }
}

/// The domain of an address, as the sender of a mail has it.
fn domain(text: &str) -> Result<String, String> {
    let address = format!("a@{text}").parse::<EmailAddress>();
    address
        .map(|address| address.domain().to_owned())
        .map_err(|error| error.to_string())
}

fn as_json(key: &DkimKey) -> Value {
    let record = key.record();
    json!({
        "domain": key.domain(),
        "selector": key.selector(),
        "algorithm": Kind::of(key.algorithm()),
        "record": { "name": record.name, "type": "TXT", "value": record.value, "texts": record.texts() },
    })
}

/// A line of a zone file (RFC 1035 section 5.1).
fn zone_line(record: &DnsRecord) -> String {
    let texts: Vec<String> = record
        .texts()
        .iter()
        .map(|text| format!("\"{text}\""))
        .collect();
    format!("{}. IN TXT {}", record.name, texts.join(" "))
}

/// A name for the key among the settings, fit for an environment variable too.
fn section(key: &DkimKey) -> String {
    let name = format!("{}_{}", key.domain(), Kind::of(key.algorithm()));
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

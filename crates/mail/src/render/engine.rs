//! One compiled version of a template: its files in a Tera instance of its own, rendered under limits.
//!
//! Autoescape goes by the name's suffix: `.html` is escaped, subject and text are not. A variable that is not there is an
//! error, never an empty place.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    time::{Duration, Instant},
};

use posthaste_domain::message::Variables;
use tera::{Context, Tera};

use super::manifest::Manifest;

/// Most output of one part, in bytes.
pub const MAX_OUTPUT: usize = 1024 * 1024;
/// Longest time for one part.
pub const MAX_TIME: Duration = Duration::from_millis(250);
/// Writes between two looks at the clock: an engine writes a few characters at a time, and looking costs more than that.
const WRITES: u32 = 64;

/// The parts of a template, by file name.
pub(super) const PARTS: [&str; 3] = ["subject.txt", "body.html", "body.txt"];

/// What Tera, or a limit, said.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The template or its data.
    #[error("{0}")]
    Template(String),
    /// More output than a part may have.
    #[error("more than {MAX_OUTPUT} bytes of output")]
    TooLarge,
    /// Longer than a part may take.
    #[error("rendering took longer than {} ms", MAX_TIME.as_millis())]
    TooSlow,
}

/// A version that is ready to be rendered.
#[derive(Debug)]
pub(super) struct Compiled {
    tera: Tera,
    parts: BTreeSet<String>,
    /// The variables that the subject uses.
    of_subject: BTreeSet<String>,
    pub(super) manifest: Manifest,
}

impl Compiled {
    /// Compiles the files of a version: its parts, `template.toml`, and the shared files it reaches.
    pub(super) fn new(files: &BTreeMap<String, String>) -> Result<Self, EngineError> {
        let mut tera = Tera::new();
        let texts = files
            .iter()
            .filter(|(name, _)| name.as_str() != "template.toml");
        tera.add_raw_templates(texts.map(|(name, text)| (name.as_str(), text.as_str())))
            .map_err(|error| said(&error))?;
        let manifest = files
            .get("template.toml")
            .map(|text| Manifest::read(text))
            .transpose();
        let manifest = manifest.map_err(EngineError::Template)?.unwrap_or_default();
        let parts = PARTS
            .iter()
            .filter(|part| files.contains_key(**part))
            .map(|part| (*part).to_owned())
            .collect();
        // A version without a subject fails where that is rendered.
        let of_subject = tera.get_template_variables("subject.txt");
        let of_subject = of_subject
            .into_iter()
            .flatten()
            .map(str::to_owned)
            .collect();
        Ok(Self {
            tera,
            parts,
            of_subject,
            manifest,
        })
    }

    pub(super) fn part(&self, name: &str) -> bool {
        self.parts.contains(name)
    }

    /// The names of all variables that the parts use, through layouts and partials.
    pub(super) fn used(&self) -> Result<BTreeSet<String>, EngineError> {
        let mut used = BTreeSet::new();
        for part in &self.parts {
            used.extend(
                self.tera
                    .get_template_variables(part)
                    .map_err(|error| said(&error))?
                    .into_iter()
                    .map(str::to_owned),
            );
        }
        Ok(used)
    }

    /// What the templates see: the data, with the declared defaults of what it lacks.
    pub(super) fn context(&self, variables: Variables) -> Result<Context, EngineError> {
        let mut variables = self.manifest.with_defaults(variables);
        // On input, null and absent mean the same.
        variables.retain(|_, value| !value.is_null());
        Context::from_serialize(&variables).map_err(|error| said(&error))
    }

    /// The same with what the subject uses alone: it is rendered while somebody waits, of data that may be large.
    pub(super) fn context_of_subject(&self, variables: &Variables) -> Result<Context, EngineError> {
        let used = variables
            .iter()
            .filter(|(name, _)| self.of_subject.contains(*name));
        self.context(
            used.map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    pub(super) fn render(&self, part: &str, context: &Context) -> Result<String, EngineError> {
        let mut output = Limited {
            text: Vec::new(),
            ends: Instant::now() + MAX_TIME,
            writes: 0,
            passed: None,
        };
        let rendered = self.tera.render_to(part, context, &mut output);
        if let Some(limit) = output.passed {
            return Err(limit);
        }
        rendered.map_err(|error| said(&error))?;
        String::from_utf8(output.text)
            .map_err(|_| EngineError::Template("output that is not UTF-8".to_owned()))
    }
}

fn said(error: &tera::Error) -> EngineError {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    EngineError::Template(text)
}

/// Takes output until a limit is passed.
struct Limited {
    text: Vec<u8>,
    ends: Instant,
    writes: u32,
    passed: Option<EngineError>,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        let is_time_to_look = self.writes.is_multiple_of(WRITES);
        if self.text.len() + bytes.len() > MAX_OUTPUT {
            self.passed = Some(EngineError::TooLarge);
        } else if is_time_to_look && Instant::now() > self.ends {
            self.passed = Some(EngineError::TooSlow);
        } else {
            self.text.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        Err(io::Error::other("a limit was passed"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

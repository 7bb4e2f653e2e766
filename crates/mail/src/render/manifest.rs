//! `template.toml`: sender defaults and the variables that a template declares, and the check of data against them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use posthaste_domain::{address::Mailbox, message::Variables, template::VariableProblem};
use serde::Deserialize;
use serde_json::Value;

/// Most bytes of data for one message.
const MAX_DATA: usize = 64 * 1024;
/// Most values in it, nested ones included.
const MAX_NODES: usize = 10_000;

/// What `template.toml` may say.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    from: Option<String>,
    reply_to: Option<String>,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    #[serde(rename = "type")]
    kind: Kind,
    required: Option<bool>,
    default: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    String,
    Number,
    Boolean,
    Object,
    List,
    /// Declared by use only: of any type.
    #[serde(skip)]
    Any,
}

impl Kind {
    fn admits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::List => value.is_array(),
            Self::Any => true,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Object => "an object",
            Self::List => "a list",
            Self::Any => "anything",
        }
    }
}

/// What a template declares.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Manifest {
    pub(super) from: Option<Mailbox>,
    pub(super) reply_to: Option<Mailbox>,
    /// Absent without `template.toml`: then what the parts use is declared, all of it required.
    variables: Option<BTreeMap<String, Variable>>,
}

impl Manifest {
    /// Reads `template.toml`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mailbox = |text: Option<String>| text.map(|text| text.parse::<Mailbox>()).transpose();
        for (name, variable) in &file.variables {
            if let Some(default) = &variable.default
                && !variable.kind.admits(default)
            {
                return Err(format!(
                    "the default of `{name}` is not {}",
                    variable.kind.word()
                ));
            }
            if variable.required == Some(true) && variable.default.is_some() {
                return Err(format!(
                    "`{name}` is required and has a default; it can't be both"
                ));
            }
        }
        Ok(Self {
            from: mailbox(file.from).map_err(|error| format!("from: {error}"))?,
            reply_to: mailbox(file.reply_to).map_err(|error| format!("reply_to: {error}"))?,
            variables: Some(file.variables),
        })
    }

    /// The same where the parts use `used`: without declarations, those are declared.
    pub(super) fn for_parts(mut self, used: &BTreeSet<String>) -> (Self, Vec<String>) {
        let declared = self.variables.get_or_insert_with(|| {
            used.iter()
                .map(|name| {
                    (
                        name.clone(),
                        Variable {
                            kind: Kind::Any,
                            required: None,
                            default: None,
                        },
                    )
                })
                .collect()
        });
        let undeclared = used
            .iter()
            .filter(|name| !declared.contains_key(*name))
            .cloned()
            .collect();
        (self, undeclared)
    }

    /// Declared variables that no part uses.
    pub(super) fn unused(&self, used: &BTreeSet<String>) -> Vec<String> {
        let declared = self.variables.iter().flatten();
        declared
            .filter(|(name, _)| !used.contains(*name))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The data with the defaults of what it lacks.
    pub(super) fn with_defaults(&self, mut variables: Variables) -> Variables {
        for (name, variable) in self.variables.iter().flatten() {
            if let Some(default) = &variable.default {
                let given = variables.entry(name.clone()).or_insert(Value::Null);
                if given.is_null() {
                    *given = default.clone();
                }
            }
        }
        variables
    }

    /// Everything that is wrong with the data.
    pub(super) fn check(&self, variables: &Variables) -> Vec<VariableProblem> {
        let problem = |name: &str, detail: String, missing| VariableProblem {
            name: name.to_owned(),
            detail,
            missing,
        };
        if variables.values().map(nodes).sum::<usize>() > MAX_NODES || size(variables) > MAX_DATA {
            let detail = format!("more than {MAX_DATA} bytes or {MAX_NODES} values in all");
            return vec![problem("", detail, false)];
        }
        let mut problems = Vec::new();
        for (name, variable) in self.variables.iter().flatten() {
            let given = variables.get(name).filter(|value| !value.is_null());
            match given {
                None if variable.required.unwrap_or(variable.default.is_none()) => {
                    problems.push(problem(name, "required".to_owned(), true));
                }
                Some(value) if !variable.kind.admits(value) => {
                    problems.push(problem(
                        name,
                        format!("expected {}", variable.kind.word()),
                        false,
                    ));
                }
                None | Some(_) => {}
            }
        }
        problems
    }
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(members) => members.values().map(nodes).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn size(variables: &Variables) -> usize {
    let mut counted = Counted(0);
    let written = serde_json::to_writer(&mut counted, variables);
    written.map_or(usize::MAX, |()| counted.0)
}

/// The length of what is written.
struct Counted(usize);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

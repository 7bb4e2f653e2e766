//! Templates as the rest of the domain sees them: a name, a content-addressed version, and a catalogue that checks a
//! draft's data and pins the current version before anything is stored.

use std::{collections::BTreeMap, fmt, fmt::Debug, str::FromStr};

use crate::{
    address::Mailbox,
    message::{Subject, Variables},
};

/// A text that cannot name a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "template names are 1 to 64 lower-case letters, digits and hyphens, and begin with a letter or digit"
)]
pub struct InvalidTemplateName;

/// The name of a template: its folder, `[a-z0-9][a-z0-9-]{0,63}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TemplateName(String);

impl TemplateName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TemplateName {
    type Err = InvalidTemplateName;

    fn from_str(text: &str) -> Result<Self, InvalidTemplateName> {
        let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(is_part) && !text.starts_with('-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTemplateName)
        }
    }
}

impl fmt::Display for TemplateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// SHA-256 over everything that decides what a template renders: `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TemplateVersionId(String);

impl TemplateVersionId {
    /// The version with this digest.
    #[must_use]
    pub fn from_digest(digest: &[u8; 32]) -> Self {
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("sha256:{hex}"))
    }

    /// The version as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TemplateVersionId {
    type Err = InvalidTemplateName;

    fn from_str(text: &str) -> Result<Self, InvalidTemplateName> {
        let hex = text.strip_prefix("sha256:").ok_or(InvalidTemplateName)?;
        if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTemplateName)
        }
    }
}

impl fmt::Display for TemplateVersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A template and one version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateRef {
    /// The name, for people.
    pub name: TemplateName,
    /// The version, which alone decides the bytes.
    pub version: TemplateVersionId,
}

/// The stored texts of a version: file name to content. Written once, never updated.
#[derive(Clone, PartialEq, Eq)]
pub struct TemplateVersion {
    /// Name and content address.
    pub reference: TemplateRef,
    /// The files it is made of.
    pub files: BTreeMap<String, String>,
}

impl Debug for TemplateVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemplateVersion")
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

/// What pinning gives: the version, and the sender defaults that the template declares.
#[derive(Debug, Clone, PartialEq)]
pub struct PinnedTemplate {
    /// What to render later.
    pub reference: TemplateRef,
    /// The sender, if the template names one.
    pub from: Option<Mailbox>,
    /// Where answers go, if the template says so.
    pub reply_to: Option<Mailbox>,
    /// Its subject with this data; or why that is no subject, in words for the submitter.
    pub subject: Result<Subject, String>,
}

/// Why data does not fit a template: every reason at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// No template of this name.
    #[error("there is no template `{0}`")]
    Unknown(TemplateName),
    /// Variables missing or of another type.
    #[error("the variables do not fit the template")]
    Variables(Vec<VariableProblem>),
}

/// One variable that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableProblem {
    /// Its name.
    pub name: String,
    /// What is wrong, in words for the submitter.
    pub detail: String,
    /// Whether it is simply not there.
    pub missing: bool,
}

/// The templates that are current on this node.
#[cfg_attr(feature = "testing", mockall::automock)]
pub trait TemplateCatalog: Debug + Send + Sync + 'static {
    /// Checks `variables` against what the template declares, names its current version and renders its subject: data
    /// that would break a header is refused before anything is stored.
    ///
    /// # Errors
    /// [`PinError`] with every reason at once.
    fn pin(&self, name: &TemplateName, variables: &Variables) -> Result<PinnedTemplate, PinError>;
}

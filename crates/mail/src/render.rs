//! Rendering: from a message and its pinned template version to subject, HTML and text.
//!
//! The same message gives the same result whenever and wherever it is rendered: no clock, no randomness, no environment.
//! Output and time are limited, and the work is done off the runtime's threads.

mod engine;
mod library;
mod manifest;
mod shipped;
mod source;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use engine::{Compiled, EngineError};
use posthaste_domain::{
    message::{Content, InvalidSubject, NewMessage, Subject, Variables},
    stores::{StoreError, TemplateVersions},
    template::{TemplateRef, TemplateVersionId},
};

pub use self::{
    engine::{MAX_OUTPUT, MAX_TIME},
    library::{Library, LoadError, Loaded, TemplateProblem},
    source::{Source, SourceError},
};

/// Width of a text part that is made from HTML, in characters.
const TEXT_WIDTH: usize = 78;
/// Most versions from the store that are kept compiled.
const KEPT_VERSIONS: usize = 256;

/// What a message says, ready to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The subject.
    pub subject: Subject,
    /// The HTML part.
    pub html: Option<String>,
    /// The text part.
    pub text: Option<String>,
}

/// Why a message cannot be rendered. All but [`RenderError::Store`] are final: the same input fails again.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The pinned version is neither loaded nor stored.
    #[error("template `{}` has no version {}", .0.name, .0.version)]
    UnknownVersion(TemplateRef),
    /// A stored version does not compile in this release.
    #[error("the template version does not compile")]
    Compile(#[source] EngineError),
    /// A part failed: a variable is missing, or a limit was passed.
    #[error("`{part}` cannot be rendered")]
    Part {
        /// The file.
        part: &'static str,
        /// What happened.
        source: EngineError,
    },
    /// The rendered subject is no subject.
    #[error("the rendered subject is not valid")]
    Subject(#[source] InvalidSubject),
    /// HTML from which no text can be made.
    #[error("no text can be made from the HTML")]
    Text,
    /// The rendering thread ended.
    #[error("rendering panicked")]
    Panicked,
    /// The store failed; another attempt may succeed.
    #[error("the template version cannot be read")]
    Store(#[source] StoreError),
}

/// Renders messages.
#[derive(Debug)]
pub struct Renderer {
    library: Arc<Library>,
    store: Arc<dyn TemplateVersions>,
    /// Versions that no folder yields any more, for messages that were accepted before.
    older: Mutex<HashMap<TemplateVersionId, Arc<Compiled>>>,
}

impl Renderer {
    /// A renderer of the versions in `library` and, for messages pinned to older ones, in `store`.
    #[must_use]
    pub fn new(library: Arc<Library>, store: Arc<dyn TemplateVersions>) -> Self {
        Self {
            library,
            store,
            older: Mutex::default(),
        }
    }

    /// Renders a message.
    ///
    /// # Errors
    /// [`RenderError`].
    pub async fn render(&self, message: &NewMessage) -> Result<Rendered, RenderError> {
        match &message.content {
            Content::Inline {
                subject,
                html,
                text,
            } => {
                let (subject, html, text) = (subject.clone(), html.clone(), text.clone());
                blocking(move || {
                    Ok(Rendered {
                        subject,
                        text: text_part(text, html.as_deref())?,
                        html,
                    })
                })
                .await
            }
            Content::Template {
                template,
                subject,
                variables,
                at_rest: _,
            } => {
                let compiled = self.compiled(template).await?;
                let (subject, variables) = (subject.clone(), variables.clone());
                blocking(move || render(&compiled, subject, variables)).await
            }
        }
    }

    async fn compiled(&self, template: &TemplateRef) -> Result<Arc<Compiled>, RenderError> {
        if let Some(compiled) = self.library.compiled(&template.version) {
            return Ok(compiled);
        }
        if let Some(compiled) = self
            .older
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&template.version)
        {
            return Ok(Arc::clone(compiled));
        }
        let stored = self
            .store
            .version(&template.version)
            .await
            .map_err(RenderError::Store)?;
        let stored = stored.ok_or_else(|| RenderError::UnknownVersion(template.clone()))?;
        let compiled = Arc::new(Compiled::new(&stored.files).map_err(RenderError::Compile)?);
        let mut older = self.older.lock().unwrap_or_else(PoisonError::into_inner);
        if older.len() >= KEPT_VERSIONS {
            older.clear();
        }
        older.insert(template.version.clone(), Arc::clone(&compiled));
        Ok(compiled)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RenderError> + Send + 'static,
) -> Result<T, RenderError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(RenderError::Panicked))
}

/// Renders the subject of a template.
fn subject(compiled: &Compiled, variables: &Variables) -> Result<Subject, RenderError> {
    let failed = |part: &'static str| move |source| RenderError::Part { part, source };
    let context = compiled.context_of_subject(variables);
    let context = context.map_err(failed("variables"))?;
    let rendered = compiled.render("subject.txt", &context);
    let rendered = rendered.map_err(failed("subject.txt"))?;
    rendered.trim().parse().map_err(RenderError::Subject)
}

/// Renders all parts of a template.
fn render(
    compiled: &Compiled,
    subject: Option<Subject>,
    variables: Variables,
) -> Result<Rendered, RenderError> {
    let context = compiled
        .context(variables)
        .map_err(|source| RenderError::Part {
            part: "variables",
            source,
        })?;
    let part = |part: &'static str| -> Result<Option<String>, RenderError> {
        let rendered = compiled
            .part(part)
            .then(|| compiled.render(part, &context))
            .transpose();
        rendered.map_err(|source| RenderError::Part { part, source })
    };
    let subject = match subject {
        Some(subject) => subject,
        None => part("subject.txt")?
            .unwrap_or_default()
            .trim()
            .parse()
            .map_err(RenderError::Subject)?,
    };
    let (html, text) = (part("body.html")?, part("body.txt")?);
    Ok(Rendered {
        subject,
        text: text_part(text, html.as_deref())?,
        html,
    })
}

/// The text part: as given; made from the HTML when absent; left out when given as empty.
fn text_part(text: Option<String>, html: Option<&str>) -> Result<Option<String>, RenderError> {
    match (text, html) {
        (Some(text), Some(_)) if text.is_empty() => Ok(None),
        (Some(text), _) => Ok(Some(text)),
        (None, None) => Ok(None),
        (None, Some(html)) => {
            let plain = html2text::config::plain().no_table_borders();
            let made = plain
                .string_from_read(html.as_bytes(), TEXT_WIDTH)
                .map_err(|_| RenderError::Text)?;
            Ok(Some(
                made.lines()
                    .map(str::trim_end)
                    .collect::<Vec<_>>()
                    .join("\n"),
            ))
        }
    }
}

//! What makes mails of messages: templates, files, signatures.

use std::{path::Path, sync::Arc};

use posthaste_domain::stores::{AttachmentStore, TemplateVersions};
use posthaste_mail::{
    Builder, LargeMails, Library, Renderer,
    render::{LoadError, Source},
};
use posthaste_store::Store;
use tracing::warn;

use super::ComposeError;
use crate::settings::Settings;

/// The operator's templates, and the shipped ones where those are lacking.
pub(super) fn library(settings: &Settings, working_dir: &Path) -> Result<Library, ComposeError> {
    let usual = working_dir.join("templates").join("emails");
    let own = match settings.templates.dir.as_str() {
        "" if usual.is_dir() => Source::folder(&usual)?,
        "" => Source::default(),
        folder => Source::folder(&working_dir.join(folder))?,
    };
    let loaded = Library::load(&own.or(Source::shipped()));
    for warning in &loaded.warnings {
        warn!(file = warning.file, "{}", warning.message);
    }
    if !loaded.broken.is_empty() && !settings.templates.allow_broken {
        return Err(LoadError(loaded.broken).into());
    }
    for broken in &loaded.broken {
        warn!(
            file = broken.file,
            "template is broken and left out: {}", broken.message
        );
    }
    Ok(loaded.library)
}

/// What makes mails of messages.
pub(super) fn builder(settings: &Settings, library: Arc<Library>, store: &Arc<Store>) -> Builder {
    let versions: Arc<dyn TemplateVersions> = Arc::<Store>::clone(store);
    let files: Arc<dyn AttachmentStore> = Arc::<Store>::clone(store);
    let memory = settings.queue.large_mail_memory;
    Builder::new(Arc::new(Renderer::new(library, versions)))
        .with_dkim(settings.dkim.clone())
        .with_large_mails(LargeMails::new(files, memory))
}

//! The templates that are current on this node: loaded, compiled, checked and tried with every sample, all problems of
//! all templates at once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use posthaste_domain::{
    message::{Subject, Variables},
    template::{
        PinError, PinnedTemplate, TemplateCatalog, TemplateName, TemplateRef, TemplateVersion,
        TemplateVersionId,
    },
};
use sha2::{Digest, Sha256};

use super::{
    RenderError, Rendered,
    engine::{Compiled, PARTS},
    render,
    source::{Source, template_of},
};

/// Raised whenever the same files would render other bytes.
const FORMAT: &str = "posthaste template 1";

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateProblem {
    /// The file, by its path in the template folder.
    pub file: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for TemplateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.message)
    }
}

/// Templates that cannot be used, with every reason.
#[derive(Debug, thiserror::Error)]
#[error("templates are broken; problems: {}", .0.len())]
pub struct LoadError(pub Vec<TemplateProblem>);

/// What loading gave.
#[derive(Debug)]
pub struct Loaded {
    /// The sound templates.
    pub library: Library,
    /// Problems of those that were left out.
    pub broken: Vec<TemplateProblem>,
    /// What is odd but harmless.
    pub warnings: Vec<TemplateProblem>,
}

/// The current templates.
#[derive(Debug, Default)]
pub struct Library {
    current: BTreeMap<TemplateName, Entry>,
    compiled: HashMap<TemplateVersionId, Arc<Compiled>>,
}

#[derive(Debug)]
struct Entry {
    version: TemplateVersion,
    compiled: Arc<Compiled>,
}

impl Library {
    /// Loads all templates of `source`. Broken ones are left out and told.
    #[must_use]
    pub fn load(source: &Source) -> Loaded {
        let mut loaded = Loaded {
            library: Self::default(),
            broken: Vec::new(),
            warnings: Vec::new(),
        };
        let names: BTreeSet<&str> = source
            .files
            .keys()
            .filter_map(|path| template_of(path))
            .collect();
        for name in names {
            match load_one(source, name, &mut loaded.warnings) {
                Ok((name, entry)) => {
                    let version = entry.version.reference.version.clone();
                    loaded
                        .library
                        .compiled
                        .insert(version, Arc::clone(&entry.compiled));
                    loaded.library.current.insert(name, entry);
                }
                Err(problems) => loaded.broken.extend(problems),
            }
        }
        loaded
    }

    /// The same, refusing all if one is broken.
    ///
    /// # Errors
    /// [`LoadError`] with every problem.
    pub fn load_strict(source: &Source) -> Result<Self, LoadError> {
        let loaded = Self::load(source);
        if loaded.broken.is_empty() {
            Ok(loaded.library)
        } else {
            Err(LoadError(loaded.broken))
        }
    }

    /// How many templates there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.current.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.current.is_empty()
    }

    /// The current version of each template, to be kept for messages that are pinned to it.
    #[must_use]
    pub fn versions(&self) -> Vec<TemplateVersion> {
        self.current
            .values()
            .map(|entry| entry.version.clone())
            .collect()
    }

    pub(super) fn compiled(&self, version: &TemplateVersionId) -> Option<Arc<Compiled>> {
        self.compiled.get(version).map(Arc::clone)
    }
}

impl TemplateCatalog for Library {
    fn pin(&self, name: &TemplateName, variables: &Variables) -> Result<PinnedTemplate, PinError> {
        let entry = self
            .current
            .get(name)
            .ok_or_else(|| PinError::Unknown(name.clone()))?;
        let manifest = &entry.compiled.manifest;
        let problems = manifest.check(variables);
        if !problems.is_empty() {
            return Err(PinError::Variables(problems));
        }
        Ok(PinnedTemplate {
            reference: entry.version.reference.clone(),
            from: manifest.from.clone(),
            reply_to: manifest.reply_to.clone(),
            subject: super::subject(&entry.compiled, variables).map_err(|error| chain(&error)),
        })
    }
}

fn load_one(
    source: &Source,
    folder: &str,
    warnings: &mut Vec<TemplateProblem>,
) -> Result<(TemplateName, Entry), Vec<TemplateProblem>> {
    let problem = |file: &str, message: String| TemplateProblem {
        file: format!("{folder}/{file}"),
        message,
    };
    let one = |file: &str, message: String| vec![problem(file, message)];
    let name: TemplateName = folder
        .parse()
        .map_err(|error| one("", format!("{error}")))?;
    let files = files_of(source, folder);
    if !files.contains_key("subject.txt") {
        return Err(one(
            "subject.txt",
            "missing: every template has a subject of one line".to_owned(),
        ));
    }
    if !files.contains_key("body.html") && !files.contains_key("body.txt") {
        return Err(one(
            "body.html",
            "missing: a template has body.html, body.txt or both".to_owned(),
        ));
    }
    let mut compiled = Compiled::new(&files).map_err(|error| one("", error.to_string()))?;
    let used = compiled
        .used()
        .map_err(|error| one("", error.to_string()))?;
    let (manifest, undeclared) = std::mem::take(&mut compiled.manifest).for_parts(&used);
    compiled.manifest = manifest;
    let mut problems: Vec<_> = undeclared
        .into_iter()
        .map(|variable| {
            problem(
                "template.toml",
                format!("`{variable}` is used but not declared; add it to [variables]"),
            )
        })
        .collect();
    for variable in compiled.manifest.unused(&used) {
        warnings.push(problem(
            "template.toml",
            format!("`{variable}` is declared but not used"),
        ));
    }
    problems.extend(try_samples(source, folder, &compiled));
    if !problems.is_empty() {
        return Err(problems);
    }
    let version = version_id(&files);
    let reference = TemplateRef {
        name: name.clone(),
        version,
    };
    let version = TemplateVersion { reference, files };
    Ok((
        name,
        Entry {
            version,
            compiled: Arc::new(compiled),
        },
    ))
}

/// What decides the output: the template's parts and declarations, and the shared files that they reach.
fn files_of(source: &Source, folder: &str) -> BTreeMap<String, String> {
    let own = |name: &str| {
        let text = source.files.get(&format!("{folder}/{name}"))?;
        Some((name.to_owned(), text.clone()))
    };
    let mut files: BTreeMap<String, String> = PARTS
        .iter()
        .chain(&["template.toml"])
        .filter_map(|name| own(name))
        .collect();
    loop {
        let named = |path: &str| files.values().any(|text| text.contains(path));
        let reached: Vec<_> = source
            .files
            .iter()
            .filter(|(path, _)| path.starts_with('_') && !files.contains_key(*path) && named(path))
            .map(|(path, text)| (path.clone(), text.clone()))
            .collect();
        if reached.is_empty() {
            return files;
        }
        files.extend(reached);
    }
}

fn version_id(files: &BTreeMap<String, String>) -> TemplateVersionId {
    let mut hash = Sha256::new();
    hash.update(FORMAT);
    for (name, text) in files {
        // Lengths first, so that no two sets of files run together to one text.
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    TemplateVersionId::from_digest(&hash.finalize().into())
}

/// Renders every sample; a template without samples cannot be tried, and is refused.
fn try_samples(source: &Source, folder: &str, compiled: &Compiled) -> Vec<TemplateProblem> {
    let prefix = format!("{folder}/samples/");
    let samples: Vec<_> = source
        .files
        .iter()
        .filter(|(path, _)| path.starts_with(&prefix))
        .collect();
    if samples.is_empty() {
        let message =
            "missing: at least one sample (default.json) to try the template with".to_owned();
        return vec![TemplateProblem {
            file: prefix,
            message,
        }];
    }
    samples
        .into_iter()
        .flat_map(|(path, text)| try_sample(path, text, compiled))
        .collect()
}

fn try_sample(path: &str, text: &str, compiled: &Compiled) -> Vec<TemplateProblem> {
    let problem = |message: String| TemplateProblem {
        file: path.to_owned(),
        message,
    };
    let variables: Variables = match serde_json::from_str(text) {
        Ok(variables) => variables,
        Err(error) => return vec![problem(format!("not a JSON object: {error}"))],
    };
    let missing = compiled.manifest.check(&variables);
    if !missing.is_empty() {
        return missing
            .into_iter()
            .map(|missing| problem(format!("`{}`: {}", missing.name, missing.detail)))
            .collect();
    }
    match render(compiled, None::<Subject>, variables) {
        Ok(Rendered {
            text: Some(text), ..
        }) if text.trim().is_empty() => {
            vec![problem("the text part comes out empty".to_owned())]
        }
        Ok(_) => Vec::new(),
        Err(error) => vec![problem(chain(&error))],
    }
}

fn chain(error: &RenderError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

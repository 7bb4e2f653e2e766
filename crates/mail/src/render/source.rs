//! Where template files come from: a folder, a map of names to texts, and the copies inside the binary.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::shipped::SHIPPED;

/// Longest template file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// The files of a template folder, by their path in it (`welcome/subject.txt`, `_layouts/base.html`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    pub(super) files: BTreeMap<String, String>,
}

/// A template file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read as a template", path.display())]
pub struct SourceError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl Source {
    /// The templates that come with Posthaste.
    #[must_use]
    pub fn shipped() -> Self {
        let file = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self {
            files: SHIPPED.iter().map(file).collect(),
        }
    }

    /// Files by name, for tests and for applications that carry their templates inside.
    pub fn of<P: Into<String>, T: Into<String>>(files: impl IntoIterator<Item = (P, T)>) -> Self {
        Self {
            files: files
                .into_iter()
                .map(|(path, text)| (path.into(), text.into()))
                .collect(),
        }
    }

    /// Every file below `folder`. Links that leave it are refused.
    ///
    /// # Errors
    /// [`SourceError`] for the first file or folder that cannot be read.
    pub fn folder(folder: &Path) -> Result<Self, SourceError> {
        let failed = |source| SourceError {
            path: folder.to_owned(),
            source,
        };
        let root = folder.canonicalize().map_err(failed)?;
        let mut files = BTreeMap::new();
        let mut folders = vec![root.clone()];
        while let Some(next) = folders.pop() {
            read_folder(&root, &next, &mut folders, &mut files)?;
        }
        Ok(Self { files })
    }

    /// The same, with what `fallback` has and this lacks: whole templates and shared files, never parts of a template.
    #[must_use]
    pub fn or(mut self, fallback: Self) -> Self {
        let own: Vec<String> = self
            .files
            .keys()
            .filter_map(|path| template_of(path).map(str::to_owned))
            .collect();
        for (path, text) in fallback.files {
            let is_own =
                template_of(&path).is_some_and(|template| own.iter().any(|own| own == template));
            if !is_own {
                self.files.entry(path).or_insert(text);
            }
        }
        self
    }
}

/// The template that a file belongs to; `None` for shared files.
pub(super) fn template_of(path: &str) -> Option<&str> {
    let (folder, _) = path.split_once('/')?;
    (!folder.starts_with('_')).then_some(folder)
}

fn read_folder(
    root: &Path,
    folder: &Path,
    folders: &mut Vec<PathBuf>,
    files: &mut BTreeMap<String, String>,
) -> Result<(), SourceError> {
    let failed = |path: &Path, source| SourceError {
        path: path.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let path = entry.map_err(|error| failed(folder, error))?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden {
            continue;
        }
        let real = path.canonicalize().map_err(|error| failed(&path, error))?;
        if !real.starts_with(root) {
            return Err(failed(
                &path,
                io::Error::other("the link leaves the template folder"),
            ));
        }
        let meta = fs::metadata(&real).map_err(|error| failed(&path, error))?;
        if meta.is_dir() {
            folders.push(path);
            continue;
        }
        if meta.len() > MAX_FILE {
            return Err(failed(&path, io::Error::other("larger than 1 MiB")));
        }
        let text = fs::read_to_string(&real).map_err(|error| failed(&path, error))?;
        let name = path.strip_prefix(root).ok().and_then(Path::to_str);
        let name = name.ok_or_else(|| failed(&path, io::Error::other("the name is not UTF-8")))?;
        files.insert(name.to_owned(), text);
    }
    Ok(())
}

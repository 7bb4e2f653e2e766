//! The key of stored secrets where none is configured: a file in the data folder, made at the first start, for its owner
//! alone.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use posthaste_store::SealingKey;
use tracing::info;

/// The name of the file.
pub const FILE: &str = "secret.key";

/// The file cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum SecretKeyError {
    /// What the system said.
    #[error("{} cannot be read or made", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds something else. It is not replaced: what was encrypted by the key that it held would be lost.
    #[error("{} does not hold a key of 64 hexadecimal digits", .0.display())]
    Invalid(PathBuf),
}

/// The key kept in `folder`.
///
/// # Errors
/// [`SecretKeyError`].
pub fn kept_in(folder: &Path) -> Result<SealingKey, SecretKeyError> {
    let path = folder.join(FILE);
    let io = |source| SecretKeyError::Io {
        path: path.clone(),
        source,
    };
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(folder, &path).map_err(io)?,
        read => read.map_err(io)?,
    };
    text.parse()
        .map_err(|_| SecretKeyError::Invalid(path.clone()))
}

/// Makes the file, unless another process is faster. It is on disk before anything is encrypted by it.
fn make(folder: &Path, path: &Path) -> io::Result<String> {
    let random = || uuid::Uuid::new_v4().into_bytes();
    // Two version 4 UUIDs hold 244 random bits; hashed, they make an even key of that strength.
    let digest = <sha2::Sha256 as sha2::Digest>::digest([random(), random()].concat());
    let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let unfinished = path.with_extension(uuid::Uuid::new_v4().simple().to_string());
    let mut options = OpenOptions::new();
    options.create_new(true).write(true).mode(0o600);
    let mut file = options.open(&unfinished)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    // Unlike a rename, a link takes no file's place.
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read_to_string(path),
        linked => {
            linked?;
            File::open(folder)?.sync_all()?;
            info!(file = %path.display(), "made the key of stored secrets");
            Ok(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_for_its_owner_alone_and_a_strange_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        kept_in(folder.path()).unwrap();
        let path = folder.path().join(FILE);
        let first = fs::read_to_string(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        kept_in(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
        fs::write(&path, "my shopping list").unwrap();
        assert!(matches!(
            kept_in(folder.path()),
            Err(SecretKeyError::Invalid(_))
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "my shopping list");
    }
}

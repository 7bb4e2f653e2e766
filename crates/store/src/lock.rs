//! One process at a time: an exclusive lock on a file beside the database. The kernel frees it when its holder dies,
//! however it dies, so nobody has to judge by time whether the holder still lives.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// Held for as long as the value lives.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

/// Why the lock was not had.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another process holds it.
    Held,
    /// The file could not be made or locked.
    Io(PathBuf, io::Error),
}

impl FileLock {
    /// Locks `<database>.lock` without waiting.
    pub(crate) fn beside(database: &Path) -> Result<Self, LockError> {
        let mut name = database.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let open = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let file = open.map_err(|error| LockError::Io(path.clone(), error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held),
            Err(TryLockError::Error(error)) => Err(LockError::Io(path, error)),
        }
    }
}

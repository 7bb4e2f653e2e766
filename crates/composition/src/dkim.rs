//! A new key to sign mail by, in a file of its own, and what is to be published of it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use posthaste_mail::dkim;
pub use posthaste_mail::{
    DkimKey, DnsRecord,
    dkim::{Algorithm, InvalidDkimKey, NoRandomness},
};
use secrecy::{ExposeSecret, SecretString};

/// Makes RSA keys, which ring does not.
pub const OPENSSL: [&str; 6] = [
    "openssl",
    "genpkey",
    "-algorithm",
    "RSA",
    "-pkeyopt",
    "rsa_keygen_bits:2048",
];

/// Why there is no new key. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum NewKeyError {
    /// A key that may be in use is not replaced.
    #[error("{} is there already, and no key is overwritten", .0.display())]
    Exists(PathBuf),
    /// The program that makes RSA keys could not be started.
    #[error("an RSA key is made by openssl, which cannot be started here")]
    NoOpenssl(#[source] io::Error),
    /// It failed.
    #[error("openssl made no key: {0}")]
    Openssl(String),
    /// No random bytes.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The names do not fit, or openssl made something else.
    #[error(transparent)]
    Key(#[from] InvalidDkimKey),
    /// The file cannot be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes a key and writes it to `file`, a new one that its owner alone can read. On disk when this returns.
///
/// # Errors
/// [`NewKeyError`].
pub fn new_key(
    domain: &str,
    selector: &str,
    algorithm: Algorithm,
    file: &Path,
) -> Result<DkimKey, NewKeyError> {
    let pem = match algorithm {
        Algorithm::Ed25519 => dkim::new_ed25519()?,
        Algorithm::Rsa => new_rsa()?,
    };
    let key = DkimKey::from_pem(domain, selector, pem.expose_secret())?;
    write(file, &pem).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => NewKeyError::Exists(file.to_owned()),
        _ => NewKeyError::Write {
            path: file.to_owned(),
            source,
        },
    })?;
    Ok(key)
}

fn new_rsa() -> Result<SecretString, NewKeyError> {
    let [program, arguments @ ..] = OPENSSL;
    let made = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(NewKeyError::NoOpenssl)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
    if !made.status.success() {
        return Err(NewKeyError::Openssl(text(made.stderr)));
    }
    Ok(SecretString::from(text(made.stdout) + "\n"))
}

fn write(path: &Path, pem: &SecretString) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true).mode(0o600);
    let mut file = options.open(path)?;
    let written = file
        .write_all(pem.expose_secret().as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a key is none, and would stand in the way of the next try.
        fs::remove_file(path)?;
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_key_is_its_owners_alone_and_replaces_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let make = |selector| new_key("example.com", selector, Algorithm::Ed25519, &path);
        let made = make("s1").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        let read = DkimKey::from_pem("example.com", "s1", &text).unwrap();
        assert_eq!(read.record(), made.record());
        assert!(matches!(make("s1"), Err(NewKeyError::Exists(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        let nowhere = new_key(
            "example.com",
            "s1",
            Algorithm::Ed25519,
            &folder.path().join("no/key.pem"),
        );
        assert!(matches!(nowhere, Err(NewKeyError::Write { .. })));
    }

    #[test]
    fn nothing_is_written_for_names_that_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let made = new_key("example.com", "a b", Algorithm::Ed25519, &path);
        assert!(matches!(made, Err(NewKeyError::Key(_))));
        assert!(!path.exists());
    }
}

//! TLS for connections to servers: certificates are always verified, TLS 1.2 or later.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::ClientCertificate;

/// Why no TLS can be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of trusted certificates.
    #[error("{} holds no certificates that can be read", .0.display())]
    CaFile(PathBuf),
    /// The file of the node's own certificate or key.
    #[error("{} holds no certificate or key that can be read", .0.display())]
    Certificate(PathBuf),
    /// The provider, or a certificate that its key does not fit.
    #[error("TLS cannot be set up")]
    Config(#[source] rustls::Error),
}

/// Trusts the system's certificates and those of `ca_file`, and shows `own` where a server asks.
pub(super) fn client_config(
    ca_file: Option<&Path>,
    own: Option<&ClientCertificate>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca_file {
        let certificates = certificates(path).ok_or_else(|| TlsError::CaFile(path.to_owned()))?;
        let (added, _) = roots.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(TlsError::CaFile(path.to_owned()));
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Config)?
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(ClientCertificate {
            certificates: path,
            key,
        }) => {
            let unreadable = |path: &Path| TlsError::Certificate(path.to_owned());
            let chain = certificates(path).ok_or_else(|| unreadable(path))?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|_| unreadable(key))?;
            let config = builder.with_client_auth_cert(chain, key);
            config.map_err(TlsError::Config)?
        }
    };
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Option<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(path).ok()?;
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().ok()?;
    Some(certificates).filter(|all| !all.is_empty())
}

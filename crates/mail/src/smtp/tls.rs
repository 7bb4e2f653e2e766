//! TLS for connections to servers: certificates are always verified, TLS 1.2 or later.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, pem::PemObject};

/// Why no TLS can be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of trusted certificates.
    #[error("{} holds no certificates that can be read", .0.display())]
    CaFile(PathBuf),
    /// The provider.
    #[error("TLS cannot be set up")]
    Config(#[source] rustls::Error),
}

/// Trusts the system's certificates and those of `ca_file`.
pub(super) fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca_file {
        let unreadable = || TlsError::CaFile(path.to_owned());
        let certificates = CertificateDer::pem_file_iter(path).map_err(|_| unreadable())?;
        let certificates: Vec<_> = certificates
            .collect::<Result<_, _>>()
            .map_err(|_| unreadable())?;
        let (added, _) = roots.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(unreadable());
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Config)?;
    Ok(Arc::new(
        builder.with_root_certificates(roots).with_no_client_auth(),
    ))
}

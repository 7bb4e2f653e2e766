//! TLS for connections to servers, 1.2 or later. Certificates are verified, but for mail straight to the servers of a domain,
//! most of which show one that nobody can verify.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    WantsVerifier,
    client::{
        WantsClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};

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
pub(crate) fn client_config(
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
    shown(builder()?.with_root_certificates(roots), own)
}

/// Whoever answers is believed: against those who only listen, where the other way would be to send in clear (RFC 7435).
pub(crate) fn unverified(own: Option<&ClientCertificate>) -> Result<Arc<ClientConfig>, TlsError> {
    let anybody = Arc::new(Anybody(Arc::new(ring::default_provider())));
    let dangerous = builder()?.dangerous();
    shown(dangerous.with_custom_certificate_verifier(anybody), own)
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Config)
}

fn shown(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    own: Option<&ClientCertificate>,
) -> Result<Arc<ClientConfig>, TlsError> {
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

/// Takes any certificate, but only from whoever has its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

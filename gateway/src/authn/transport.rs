//! TLS for the listeners, from files. TLS 1.2 and 1.3, no client certificates.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;

/// Why TLS can't be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read as what it should be.
    #[error("`{file}` holds no {what} in PEM form")]
    File {
        /// Which file.
        file: String,
        /// What it should hold.
        what: &'static str,
    },
    /// Certificate and key don't fit.
    #[error("the certificate and the key don't fit: {0}")]
    Mismatch(String),
}

/// Builds an acceptor for HTTP/2 (and HTTP/1.1 where `http1`) from a certificate chain and its key.
pub fn acceptor(certificate: &Path, key: &Path, http1: bool) -> Result<TlsAcceptor, TlsError> {
    let unusable = |file: &Path, what| TlsError::File { file: file.display().to_string(), what };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|_| unusable(certificate, "certificate"))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|_| unusable(key, "private key"))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|problem| TlsError::Mismatch(problem.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    if http1 {
        config.alpn_protocols.push(b"http/1.1".to_vec());
    }
    Ok(TlsAcceptor::from(Arc::new(config)))
}

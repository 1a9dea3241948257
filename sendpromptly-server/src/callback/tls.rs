//! Whom the client trusts: the system's root certificates and, where given, an authority of the operator's own.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::client::ClientError;

/// The TLS side of the client: TLS 1.2 and 1.3, HTTP/2 preferred.
///
/// # Errors
///
/// [`ClientError`] where `extra_roots` holds no certificate, or one that is no authority's.
pub(super) fn client_config(extra_roots: Option<&[u8]>) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let extra_roots = extra_roots.map(read_roots).transpose()?.unwrap_or_default();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(ClientError::Tls)?;
    let mut config = match verifier(extra_roots, provider) {
        Some(verifier) => builder.dangerous().with_custom_certificate_verifier(verifier),
        None => builder.with_root_certificates(RootCertStore::empty()), // trusts nobody
    }
    .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The platform's verifier, or none where there is no root certificate at all. That is no reason not to start: a
/// server in development calls `http` on the loopback address only.
fn verifier(
    extra_roots: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Option<Arc<dyn ServerCertVerifier>> {
    match rustls_platform_verifier::Verifier::new_with_extra_roots(extra_roots, provider) {
        Ok(verifier) => Some(Arc::new(verifier)),
        Err(error) => {
            tracing::warn!(
                %error,
                "no root certificates: every https callback will fail until the system's are installed \
                 (package ca-certificates) or --callback-ca names a file"
            );
            None
        }
    }
}

fn read_roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| ClientError::BadCa)?;
    if certificates.is_empty() {
        return Err(ClientError::NoCa);
    }
    let mut trial = RootCertStore::empty();
    for certificate in &certificates {
        trial.add(certificate.clone()).map_err(|_| ClientError::BadCa)?;
    }
    Ok(certificates)
}

//! TLS of the server's own: what is offered to clients, and a certificate that can be changed while it runs.

mod identity;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sendpromptly_core::time::Timestamp;
use tokio_rustls::TlsAcceptor;

pub use identity::{Identity, TlsError, TlsFiles, Validity};

/// The server's side of TLS, with the certificate of the moment. Clones share it.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

impl Tls {
    /// TLS 1.2 and 1.3 with the certificate and key in these files; HTTP/2 preferred.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = provider();
        let identity = Identity::read(&files, &provider)?;
        identity.warn_of_its_time(&files);
        let current = Arc::new(Current(RwLock::new(Arc::new(identity))));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::certificate(&files, error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            files,
            current,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    /// Reads the files again. Connections made from now on get what they hold; those that stand keep theirs.
    /// Blocks while it reads.
    ///
    /// # Errors
    /// [`TlsError`] where the files cannot be used: then everything stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        let identity = Identity::read(&self.files, &provider())?;
        identity.warn_of_its_time(&self.files);
        self.current.set(Arc::new(identity));
        Ok(())
    }

    /// Where certificate and key lie.
    #[must_use]
    pub const fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// Until when the certificate of the moment holds.
    #[must_use]
    pub fn holds_until(&self) -> Timestamp {
        self.current.get().validity.until
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// The one cryptographic provider of this program.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificate of the moment, with its key.
#[derive(Debug)]
struct Current(RwLock<Arc<Identity>>);

impl Current {
    fn get(&self) -> Arc<Identity> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, new: Arc<Identity>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get().certified.clone())
    }
}

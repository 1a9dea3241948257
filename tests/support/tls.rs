//! An authority of the tests' own, certificates of its making, and a client that trusts nobody else.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::http::{Answer, Connection, Request};

/// The name that certificates are for.
pub const HOST: &str = "localhost";

/// An authority that a client may be told to trust.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// The files that a server is given.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes a new certificate for [`HOST`] and its key, in place of what stood there.
    #[must_use]
    pub fn certify_in(&self, directory: &Path) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([HOST.to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let identity = Identity {
            certificate: directory.join("tls-cert.pem"),
            key: directory.join("tls-key.pem"),
        };
        replace(&identity.certificate, certificate.pem().as_bytes());
        replace(&identity.key, key.serialize_pem().as_bytes());
        identity
    }

    /// Its own certificate in PEM, for other programs.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A client that trusts this authority alone.
    #[must_use]
    pub fn client(&self) -> TlsClient {
        self.client_of(rustls::DEFAULT_VERSIONS, &[b"http/1.1"])
    }

    /// The same with these versions of TLS and these protocols on top of it.
    #[must_use]
    pub fn client_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&[u8]],
    ) -> TlsClient {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        // Each handshake shows the certificate.
        config.resumption = rustls::client::Resumption::disabled();
        TlsClient(TlsConnector::from(Arc::new(config)))
    }
}

/// A file whose old content a reader never sees mixed with the new; nobody else may read it.
pub fn replace(file: &Path, content: &[u8]) {
    let new = file.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&new, file).unwrap();
}

/// A client that checks the server's certificate and name.
#[derive(Clone)]
pub struct TlsClient(TlsConnector);

impl std::fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsClient(..)")
    }
}

/// What was agreed on in a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// The version of TLS.
    pub version: Option<ProtocolVersion>,
    /// The protocol on top of it.
    pub protocol: Option<Vec<u8>>,
    /// The server's certificate.
    pub certificate: CertificateDer<'static>,
}

impl TlsClient {
    /// Connects as to this host name.
    ///
    /// # Errors
    /// What is wrong with the server or its certificate.
    pub async fn connect_as(&self, server: SocketAddr, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(server).await?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        self.0.connect(name, stream).await
    }

    /// A connection over which requests are sent.
    pub async fn open(&self, server: SocketAddr) -> Connection {
        Connection::over(self.connect_as(server, HOST).await.unwrap())
    }

    /// What a new handshake agrees on.
    pub async fn handshake(&self, server: SocketAddr) -> Handshake {
        let stream = self.connect_as(server, HOST).await.unwrap();
        let (_, session) = stream.get_ref();
        Handshake {
            version: session.protocol_version(),
            protocol: session.alpn_protocol().map(<[u8]>::to_vec),
            certificate: session.peer_certificates().unwrap()[0].clone().into_owned(),
        }
    }

    /// Sends a request on a connection of its own.
    pub async fn send(&self, server: SocketAddr, request: &Request) -> Answer {
        self.try_send(server, request).await.expect("an answer")
    }

    /// The same where the server may be gone.
    pub async fn try_send(&self, server: SocketAddr, request: &Request) -> Option<Answer> {
        let stream = self.connect_as(server, HOST).await.ok()?;
        request.send_over(&mut Connection::over(stream)).await
    }
}

//! `https`, with an authority made for the test.

use std::convert::Infallible;

use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::endpoint::read_request;
use super::guard::Script;
use super::*;

const HOST: &str = "repair.example";

/// An authority that a client may be told to trust.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn certify(&self, host: &str) -> Identity {
        self.sign(CertificateParams::new([host.to_owned()]).unwrap())
    }

    fn certify_for_the_past(&self, host: &str) -> Identity {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.into(),
            key: key.into(),
        }
    }

    fn trusted(&self) -> ClientConfig {
        ClientConfig {
            extra_root_ca_pem: Some(self.0.pem().into()),
            ..resolving()
        }
    }
}

struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    fn acceptor(self, protocol: &str) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate], self.key)
            .unwrap();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What a TLS endpoint saw: the server name that was asked for, and the request.
type Seen = JoinHandle<Option<(String, String)>>;

async fn serve(identity: Identity) -> (u16, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = identity.acceptor("http/1.1").accept(stream).await.ok()?;
        let server_name = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
        let request = read_request(&mut stream).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
            .await
            .unwrap();
        stream.shutdown().await.unwrap();
        Some((server_name, request))
    });
    (port, seen)
}

fn resolving() -> ClientConfig {
    ClientConfig {
        resolver: Script::of(&[&["127.0.0.1"]]),
        ..development()
    }
}

fn url(port: u16) -> String {
    format!("https://{HOST}:{port}/repair")
}

/// Calls an endpoint whose authority no system knows, without naming that authority.
pub(super) async fn call_with_system_roots_only() -> CallOutcome {
    let (port, _seen) = serve(Authority::new().certify(HOST)).await;
    post(resolving(), &url(port)).await
}

#[tokio::test]
async fn calls_an_endpoint_certified_by_the_named_authority_by_its_own_name() {
    let authority = Authority::new();
    let (port, seen) = serve(authority.certify(HOST)).await;
    let outcome = post(authority.trusted(), &url(port)).await;
    assert_eq!(answer(&outcome), (200, None, &b"done"[..]));
    let (server_name, request) = seen.await.unwrap().unwrap();
    assert_eq!(server_name, HOST);
    assert!(
        request
            .to_ascii_lowercase()
            .contains(&format!("host: {HOST}:{port}\r\n")),
        "{request}"
    );
}

#[tokio::test]
async fn refuses_a_certificate_of_an_unknown_authority() {
    assert_eq!(
        failure(&call_with_system_roots_only().await),
        NetworkErrorKind::Certificate
    );
    let (port, seen) = serve(Authority::new().certify(HOST)).await;
    let outcome = post(Authority::new().trusted(), &url(port)).await;
    assert_eq!(failure(&outcome), NetworkErrorKind::Certificate);
    assert_eq!(seen.await.unwrap(), None, "no request was sent");
}

#[tokio::test]
async fn refuses_a_certificate_for_another_name_or_another_time() {
    let authority = Authority::new();
    for identity in [
        authority.certify("other.example"),
        authority.certify_for_the_past(HOST),
    ] {
        let (port, seen) = serve(identity).await;
        let outcome = post(authority.trusted(), &url(port)).await;
        assert_eq!(failure(&outcome), NetworkErrorKind::Certificate);
        assert_eq!(seen.await.unwrap(), None, "no request was sent");
    }
}

#[tokio::test]
async fn a_forbidden_peer_is_dropped_before_the_request_is_written() {
    let authority = Authority::new();
    let (port, seen) = serve(authority.certify("127.0.0.1")).await;
    let config = ClientConfig {
        policy: AddressPolicy::default(),
        ..authority.trusted()
    };
    let client = CallbackClient::new(config).unwrap();
    // Past the check of literals, as a defect there would go; the resolver is not asked about one.
    let error = client
        .http
        .post(format!("https://127.0.0.1:{port}/"))
        .send()
        .await
        .unwrap_err();
    let outcome = outcome_of_error(&error, Duration::ZERO);
    assert!(matches!(outcome, CallOutcome::Refused { .. }), "{outcome:?}");
    assert_eq!(seen.await.unwrap(), None, "no request was sent");
}

#[tokio::test]
async fn an_endpoint_that_does_not_speak_tls_is_a_tls_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        stream
    });
    assert_eq!(
        failure(&post(resolving(), &url(port)).await),
        NetworkErrorKind::Tls
    );
    plain.await.unwrap();
}

/// Calls an endpoint that speaks HTTP/2 and answers with the version and the URL that it saw.
pub(super) async fn call_over_http_2(path: &str) -> (u16, CallOutcome) {
    let authority = Authority::new();
    let acceptor = authority.certify(HOST).acceptor("h2");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = TokioIo::new(acceptor.accept(stream).await.unwrap());
        let answer =
            hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                let seen = format!("{:?} {}", request.version(), request.uri());
                Ok::<_, Infallible>(hyper::Response::new(seen))
            });
        // Ends once the client has hung up.
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(stream, answer)
            .await;
    });
    let outcome = post(authority.trusted(), &format!("https://{HOST}:{port}/{path}")).await;
    served.await.unwrap();
    (port, outcome)
}

#[tokio::test]
async fn speaks_http_2_where_the_endpoint_offers_it() {
    let (port, outcome) = call_over_http_2("repair").await;
    let (status, _, head) = answer(&outcome);
    assert_eq!(status, 200);
    assert_eq!(head, format!("HTTP/2.0 {}", url(port)).as_bytes());
}

//! How connections are bounded, and how they end.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::*;
use crate::http::response;
use crate::http::tls::{self, TlsFiles};

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// Long enough for whatever should come to come on a busy machine.
const PATIENT: Limits = Limits {
    connections: 8,
    first_head: Duration::from_secs(60),
    head: Duration::from_secs(60),
    drain: Duration::from_secs(60),
};

struct Fixture {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    /// Requests whose handler has begun.
    begun: Arc<Notify>,
    /// Lets handlers answer.
    answer: Arc<Semaphore>,
    /// Handlers that ended, by answering or by being dropped.
    ended: Arc<AtomicUsize>,
}

struct CountEnd(Arc<AtomicUsize>);

impl Drop for CountEnd {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Fixture {
    async fn serve(limits: Limits) -> Self {
        Self::serve_by(None, limits).await
    }

    async fn serve_by(tls: Option<Tls>, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (begun, answer) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
        let ended = Arc::new(AtomicUsize::new(0));
        let handler = {
            let (begun, answer, ended) = (begun.clone(), answer.clone(), ended.clone());
            move |_, _| {
                let (begun, answer, end) = (begun.clone(), answer.clone(), CountEnd(ended.clone()));
                async move {
                    let _end = end;
                    begun.notify_one();
                    answer.acquire().await.unwrap().forget();
                    response::text(StatusCode::OK, "done")
                }
            }
        };
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let served = tokio::spawn(serve(listener, tls, handler, stopped, limits));
        Self {
            address,
            stop,
            served,
            begun,
            answer,
            ended,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection whose request the handler has begun to answer.
    async fn ask(&self) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(GET).await.unwrap();
        self.begun.notified().await;
        stream
    }
}

/// All that comes until the connection ends.
async fn read(mut stream: TcpStream) -> String {
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text).await; // a reset ends it as well
    text
}

#[tokio::test]
async fn a_request_under_way_is_answered_at_a_stop_and_its_connection_ends() {
    let fixture = Fixture::serve(PATIENT).await;
    let stream = fixture.ask().await;
    fixture.stop.send(()).unwrap();
    fixture.answer.add_permits(1);
    assert!(read(stream).await.ends_with("done"));
    fixture.served.await.unwrap();
}

#[tokio::test]
async fn a_request_that_outlasts_the_drain_is_cut_off_and_its_handler_goes() {
    let drain = Duration::from_millis(20);
    let fixture = Fixture::serve(Limits { drain, ..PATIENT }).await;
    let stream = fixture.ask().await;
    fixture.stop.send(()).unwrap();
    assert_eq!(read(stream).await, "");
    fixture.served.await.unwrap();
    assert_eq!(fixture.ended.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let first_head = Duration::from_millis(20);
    let fixture = Fixture::serve(Limits {
        first_head,
        ..PATIENT
    })
    .await;
    assert_eq!(read(fixture.connect().await).await, "");
    let mut slow = fixture.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nhost").await.unwrap();
    assert_eq!(read(slow).await, "");
}

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_until_another_ends() {
    let fixture = Fixture::serve(Limits {
        connections: 1,
        ..PATIENT
    })
    .await;
    let first = fixture.ask().await;
    let mut second = fixture.connect().await;
    second.write_all(GET).await.unwrap();
    fixture.answer.add_permits(2);
    drop(first);
    fixture.begun.notified().await;
    fixture.stop.send(()).unwrap();
    assert!(read(second).await.ends_with("done"));
}

/// TLS with a certificate of its own making, and a client that trusts it.
fn tls_and_client() -> (Tls, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let files = TlsFiles {
        certificate: directory.path().join("cert.pem"),
        key: directory.path().join("key.pem"),
    };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Tls::open(files).unwrap(), TlsConnector::from(Arc::new(client)))
}

#[tokio::test]
async fn a_handshake_takes_a_place_and_no_longer_than_a_head_may() {
    let (tls, client) = tls_and_client();
    let limits = Limits {
        connections: 1,
        first_head: Duration::from_secs(2),
        ..PATIENT
    };
    let fixture = Fixture::serve_by(Some(tls), limits).await;
    fixture.answer.add_permits(1);
    let silent = fixture.connect().await;
    // Behind it in the queue: it is accepted once the silent one has lost its place.
    let stream = fixture.connect().await;
    let mut stream = client
        .connect("localhost".try_into().unwrap(), stream)
        .await
        .unwrap();
    assert_eq!(read(silent).await, "", "closed before the next one was accepted");
    stream.write_all(GET).await.unwrap();
    let mut answer = vec![0; 1_024];
    let read = stream.read(&mut answer).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_stop_ends_handshakes_at_once() {
    let (tls, _) = tls_and_client();
    let fixture = Fixture::serve_by(Some(tls), PATIENT).await;
    let silent = fixture.connect().await;
    fixture.stop.send(()).unwrap();
    fixture.served.await.unwrap();
    assert_eq!(read(silent).await, "");
}

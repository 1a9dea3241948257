//! An endpoint that takes one request and answers by script.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What happens once the scripted bytes are written.
pub(super) enum Then {
    /// The connection is closed.
    Close,
    /// The connection stays open until the client hangs up.
    Hold,
    /// `x` is written until the client hangs up.
    Flood,
    /// The connection is reset.
    Reset,
}

pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    arrived: Option<oneshot::Receiver<()>>,
    request: JoinHandle<String>,
}

impl Endpoint {
    pub(super) async fn start(answer: impl Into<Vec<u8>>, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = answer.into();
        let (arrival, arrived) = oneshot::channel();
        let request = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream).await.expect("a whole request");
            let _ = arrival.send(());
            let _ = stream.write_all(&answer).await; // the client may hang up in the middle
            end(stream, then).await;
            request
        });
        Self {
            address,
            arrived: Some(arrived),
            request,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/repair", self.address)
    }

    /// Waits until the request has been read.
    pub(super) async fn request_arrived(&mut self) {
        self.arrived.take().unwrap().await.unwrap();
    }

    /// The request's bytes, once the script has come to its end.
    pub(super) async fn request(self) -> String {
        self.request.await.unwrap()
    }
}

async fn end(mut stream: TcpStream, then: Then) {
    match then {
        Then::Close => {}
        Then::Hold => while matches!(stream.read(&mut [0; 64]).await, Ok(1..)) {},
        Then::Flood => while stream.write_all(&[b'x'; 4096]).await.is_ok() {},
        Then::Reset => stream.set_zero_linger().unwrap(),
    }
}

/// Reads one HTTP/1.1 request with a `Content-Length`; none where the client hangs up before its end.
pub(super) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() >= content_length(head)
        {
            return Some(text);
        }
        let Ok(1..) = stream.read_buf(&mut bytes).await else {
            return None;
        };
    }
}

fn content_length(head: &str) -> usize {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().unwrap())
}

/// Whether nobody has connected to `listener`: the first connection that it gives is then our own.
pub(super) async fn untouched(listener: &TcpListener) -> bool {
    let own = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (_, peer) = listener.accept().await.unwrap();
    peer == own.local_addr().unwrap()
}

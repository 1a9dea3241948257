//! A plain HTTP/1.1 client that sends exactly the bytes it is told to, well-formed or not.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No answer takes longer than this, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request, header by header.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Request {
    /// A request without headers or body.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a header, beside any of the same name.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Takes every header of this name away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// Puts this header in place of every one of its name.
    #[must_use]
    pub fn with(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).header(name, value)
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it elsewhere.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Where it goes.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.path
    }

    /// Sends it with another method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// The head, and the body with its length, unless the head says otherwise.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let has = |name: &str| {
            self.headers
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name))
        };
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.path).into_bytes();
        if !has("host") {
            bytes.extend(b"host: localhost\r\n");
        }
        for (name, value) in &self.headers {
            bytes.extend(name.as_bytes());
            bytes.extend(b": ");
            bytes.extend(value);
            bytes.extend(b"\r\n");
        }
        let length_told = has("content-length") || has("transfer-encoding");
        if !length_told && (self.method == "POST" || !self.body.is_empty()) {
            bytes.extend(format!("content-length: {}\r\n", self.body.len()).bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }

    /// The same request with its body in chunks of this many bytes.
    #[must_use]
    pub fn chunked(self, size: usize) -> Self {
        let mut chunks = Vec::with_capacity(self.body.len() * 2);
        for chunk in self.body.chunks(size) {
            chunks.extend(format!("{:x}\r\n", chunk.len()).bytes());
            chunks.extend(chunk);
            chunks.extend(b"\r\n");
        }
        chunks.extend(b"0\r\n\r\n");
        self.header("transfer-encoding", "chunked").body(chunks)
    }

    /// Sends it on a connection of its own.
    pub async fn send(&self, server: SocketAddr) -> Answer {
        self.try_send(server).await.expect("an answer")
    }

    /// The same where the server may be gone: `None` when no whole answer came.
    pub async fn try_send(&self, server: SocketAddr) -> Option<Answer> {
        let mut connection = Connection::try_open(server).await?;
        self.send_over(&mut connection).await
    }

    /// Sends it on a connection that is there, and reads its answer.
    pub async fn send_over(&self, connection: &mut Connection) -> Option<Answer> {
        connection.send(&self.to_bytes()).await;
        connection.answer_to(&self.method).await
    }
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers in order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl Answer {
    /// The header of this name, which must not stand twice.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} stands twice: {self:?}");
        value
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of an error, `""` where it is none.
    #[must_use]
    pub fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Status and code in one, as in `409 idempotency_conflict`; the status alone where it is no error.
    #[must_use]
    pub fn verdict(&self) -> String {
        if self.status < 400 || self.body.is_empty() {
            return self.status.to_string();
        }
        format!("{} {}", self.status, self.code())
    }

    /// The names of the wrong fields, in order.
    #[must_use]
    pub fn wrong_fields(&self) -> Vec<String> {
        let json = self.json();
        let fields = json["error"]["fields"].as_object();
        fields
            .map(|fields| fields.keys().cloned().collect())
            .unwrap_or_default()
    }
}

/// A stream of bytes in both directions.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug> Stream for T {}

/// A connection that is written to and read from step by step.
#[derive(Debug)]
pub struct Connection(BufReader<Box<dyn Stream>>);

impl Connection {
    /// One over a stream that is there.
    pub fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug + 'static) -> Self {
        Self(BufReader::new(Box::new(stream)))
    }

    /// Connects.
    pub async fn open(server: SocketAddr) -> Self {
        Self::try_open(server).await.expect("a connection")
    }

    /// Connects, where there may be nobody.
    pub async fn try_open(server: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(server).await.ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self::over(stream))
    }

    /// Writes; a server that has hung up meanwhile is noticed when its answer is read.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self) {
        let _ = self.0.shutdown().await;
    }

    /// Reads an answer; `None` where the server hung up instead.
    pub async fn answer(&mut self) -> Option<Answer> {
        self.answer_to("POST").await
    }

    /// Reads the answer to a request with this method: one to `HEAD` has no body.
    pub async fn answer_to(&mut self, method: &str) -> Option<Answer> {
        timeout(PATIENCE, self.read_answer(method == "HEAD"))
            .await
            .expect("an answer in time")
    }

    /// Reads the head of an interim answer, such as `100 Continue`; gives its status.
    pub async fn interim(&mut self) -> u16 {
        let head = timeout(PATIENCE, self.read_head()).await;
        let status = head.expect("an answer in time").expect("an answer").status;
        assert!(status < 200, "{status} is final");
        status
    }

    /// Reads the next line of a body that comes piece by piece; `None` where the server ended it.
    pub async fn next_line(&mut self) -> Option<String> {
        timeout(PATIENCE, self.read_line()).await.expect("a line in time")
    }

    /// Whether the server closes the connection, sending nothing more, within so long.
    pub async fn closes_within(&mut self, patience: Duration) -> bool {
        let mut rest = [0; 1024];
        matches!(
            timeout(patience, self.0.read(&mut rest)).await,
            Ok(Ok(0) | Err(_))
        )
    }

    async fn read_answer(&mut self, head_only: bool) -> Option<Answer> {
        let mut answer = self.read_head().await?;
        while answer.status < 200 {
            answer = self.read_head().await?;
        }
        if head_only || matches!(answer.status, 204 | 304) {
            return Some(answer);
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = self.read_chunks().await?;
        } else if let Some(length) = answer.header("content-length") {
            answer.body = vec![0; length.parse().unwrap()];
            self.0.read_exact(&mut answer.body).await.ok()?;
        } else {
            self.0.read_to_end(&mut answer.body).await.ok()?;
        }
        Some(answer)
    }

    async fn read_head(&mut self) -> Option<Answer> {
        let status_line = self.read_line().await?;
        let status = status_line.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            let line = self.read_line().await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap();
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Some(Answer {
            status,
            headers,
            body: Vec::new(),
        })
    }

    async fn read_chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.read_line().await?, 16).ok()?;
            let start = body.len();
            body.resize(start + length, 0);
            self.0.read_exact(&mut body[start..]).await.ok()?;
            self.read_line().await?;
            if length == 0 {
                return Some(body);
            }
        }
    }

    async fn read_line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).await.ok()?;
        (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

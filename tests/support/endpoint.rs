//! A customer's repair endpoint, played by the test: it records every call and answers as it is told.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::signature::signature;
use crate::wait::eventually;

/// A callback as it came.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it was read whole.
    pub at: Instant,
    /// The request line.
    pub request_line: String,
    /// The headers; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The raw body.
    pub body: Vec<u8>,
}

impl Call {
    /// The one header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let values: Vec<_> = self.headers.iter().filter(|(known, _)| known == name).collect();
        assert_eq!(values.len(), 1, "{name} in {:?}", self.headers);
        &values[0].1
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The `internal_reference` of the event to repair.
    #[must_use]
    pub fn reference(&self) -> String {
        self.json()["internal_reference"].as_str().unwrap().to_owned()
    }

    /// Whether its signature header is made with exactly these secrets, one `v1=` for each, in any order.
    #[must_use]
    pub fn is_signed_with(&self, secrets: &[&str]) -> bool {
        let (timestamp, nonce) = (
            self.header("x-sendpromptly-timestamp"),
            self.header("x-sendpromptly-nonce"),
        );
        let mut expected: Vec<_> = secrets
            .iter()
            .map(|secret| format!("v1={}", signature(secret, timestamp, nonce, &self.body)))
            .collect();
        let mut given: Vec<_> = self.header("x-sendpromptly-signature").split(',').collect();
        expected.sort_unstable();
        given.sort_unstable();
        given == expected
    }
}

/// What the endpoint does with a call.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Answers with this status, these headers and an empty body.
    Status(u16, Vec<(&'static str, String)>),
    /// Answers with this status and this text.
    Text(u16, &'static str),
    /// Answers with 200 and this value as JSON.
    Json(Value),
    /// Waits for [`Endpoint::release`], then answers with this status.
    Held(u16),
    /// Hangs up without an answer.
    HangUp,
}

impl Reply {
    /// Answers with a status alone.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::Status(status, Vec::new())
    }

    /// Answers 200 with the effect's result.
    #[must_use]
    pub fn result(effect: &str) -> Self {
        Self::Status(200, vec![("x-sendpromptly-result", effect.to_owned())])
    }
}

type Script = Box<dyn Fn(usize, &Call) -> Reply + Send + Sync>;

struct Shared {
    script: Script,
    calls: Mutex<Vec<Call>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    released: watch::Sender<bool>,
}

/// The endpoint; it ends when it is dropped.
pub struct Endpoint {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Answers the n-th call (counted from 0) as the script says.
    pub async fn start(script: impl Fn(usize, &Call) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            calls: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            released: watch::Sender::new(false),
        });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Self {
            address,
            shared,
            task,
        }
    }

    /// Answers every call with this status.
    pub async fn always(status: u16) -> Self {
        Self::start(move |_, _| Reply::status(status)).await
    }

    /// Holds the first call, and answers those after it with 200.
    pub async fn holding_the_first() -> Self {
        Self::start(|number, _| match number {
            0 => Reply::Held(200),
            _ => Reply::status(200),
        })
        .await
    }

    /// The repair URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/repair", self.address)
    }

    /// Every call so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// The calls for events with this `internal_reference`.
    #[must_use]
    pub fn calls_for(&self, reference: &str) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.reference() == reference);
        calls
    }

    /// Waits until so many calls have come, and gives them.
    pub async fn after_calls(&self, count: usize) -> Vec<Call> {
        eventually(&format!("{count} callbacks"), async || {
            Some(self.calls()).filter(|calls| calls.len() >= count)
        })
        .await
    }

    /// Calls that are not answered yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::SeqCst)
    }

    /// The most calls that were ever under way at once.
    #[must_use]
    pub fn most_in_flight(&self) -> usize {
        self.shared.most_in_flight.load(Ordering::SeqCst)
    }

    /// Answers the calls that are held, and those to come.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let shared = shared.clone();
        tokio::spawn(async move {
            // A caller that hangs up is its own affair.
            let _ = take_call(stream, &shared).await;
        });
    }
}

async fn take_call(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let call = read_call(&mut stream).await?;
    let number = {
        let mut calls = shared.calls.lock().unwrap();
        calls.push(call.clone());
        calls.len() - 1
    };
    let in_flight = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most_in_flight.fetch_max(in_flight, Ordering::SeqCst);
    let reply = (shared.script)(number, &call);
    let held = matches!(reply, Reply::Held(_));
    if held {
        let mut released = shared.released.subscribe();
        let mut hung_up = [0];
        tokio::select! {
            _ = released.wait_for(|released| *released) => {}
            _ = stream.read(&mut hung_up) => {}
        }
    }
    shared.in_flight.fetch_sub(1, Ordering::SeqCst);
    match reply {
        Reply::HangUp => Ok(()),
        Reply::Held(status) => write_answer(&mut stream, status, &[], "").await,
        Reply::Status(status, headers) => write_answer(&mut stream, status, &headers, "").await,
        Reply::Text(status, text) => write_answer(&mut stream, status, &[], text).await,
        Reply::Json(value) => write_answer(&mut stream, 200, &[], &value.to_string()).await,
    }
}

async fn read_call(stream: &mut BufReader<TcpStream>) -> io::Result<Call> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let request_line = lines.remove(0);
    let split = |line: String| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let headers: Vec<_> = lines.into_iter().map(split).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().unwrap())];
    stream.read_exact(&mut body).await?;
    Ok(Call {
        at: Instant::now(),
        request_line,
        headers,
        body,
    })
}

async fn write_answer(
    stream: &mut BufReader<TcpStream>,
    status: u16,
    headers: &[(&'static str, String)],
    body: &str,
) -> io::Result<()> {
    let length = body.len();
    let mut head = format!("HTTP/1.1 {status} Test\r\nconnection: close\r\ncontent-length: {length}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.push_str(body);
    stream.write_all(head.as_bytes()).await?;
    stream.shutdown().await
}

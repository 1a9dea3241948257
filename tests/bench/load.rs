//! The load: connections that send one request after another and time each answer.
//!
//! The client is as thin as can be, raw HTTP/1.1 over kept connections, for it shares two cores with the
//! server and the database. Its load is bounded in count and goes to loopback only.

use std::io;
use std::iter::Enumerate;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a run of load showed.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    /// Requests answered with 202, a second.
    pub(crate) rate: f64,
    /// The time within which 99 of 100 were answered.
    pub(crate) p99: Duration,
    /// The time within which half were answered.
    pub(crate) p50: Duration,
    /// Answers other than 202.
    pub(crate) refused: usize,
}

/// One request: where it goes, under which key, and what it says.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: &'static str,
    pub(crate) idempotency_key: String,
    pub(crate) body: String,
}

/// Sends the requests over so many connections at once and waits for every answer. Each connection sends its
/// next request as soon as it has its answer: the most that the server carries.
pub(crate) async fn run(
    server: SocketAddr,
    api_key: &str,
    connections: usize,
    requests: Vec<Request>,
) -> io::Result<Figures> {
    send(server, connections, prepared(server, api_key, requests), None).await
}

/// The same, where each request is made right before it goes, as an app makes its own. Large ones that lie ready have
/// left the processor's caches by then, and what that costs is not the server's.
pub(crate) async fn run_fresh(
    server: SocketAddr,
    api_key: &str,
    connections: usize,
    requests: impl Iterator<Item = Request> + Send + 'static,
) -> io::Result<Figures> {
    let api_key = api_key.to_owned();
    let requests = requests.map(move |request| on_the_wire(server, &api_key, &request));
    send(server, connections, requests, None).await
}

/// Sends so many requests a second, whatever the answers take. A request's time counts from when it was due, so
/// one that waits for a connection because the server is slow counts as slow.
pub(crate) async fn run_at(
    rate: f64,
    server: SocketAddr,
    api_key: &str,
    connections: usize,
    requests: Vec<Request>,
) -> io::Result<Figures> {
    let interval = Duration::from_secs_f64(1.0 / rate);
    let requests = prepared(server, api_key, requests);
    send(server, connections, requests, Some(interval)).await
}

/// The requests as they go over the wire, all made.
fn prepared(server: SocketAddr, api_key: &str, requests: Vec<Request>) -> std::vec::IntoIter<Vec<u8>> {
    let requests = requests.iter();
    let wire: Vec<_> = requests
        .map(|request| on_the_wire(server, api_key, request))
        .collect();
    wire.into_iter()
}

async fn send(
    server: SocketAddr,
    connections: usize,
    requests: impl Iterator<Item = Vec<u8>> + Send + 'static,
    interval: Option<Duration>,
) -> io::Result<Figures> {
    let requests = Arc::new(Mutex::new(requests.enumerate()));
    let start = Instant::now();
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let pace = interval.map(|interval| (start, interval));
            tokio::spawn(one_connection(server, requests.clone(), pace))
        })
        .collect();
    let (mut times, mut refused) = (Vec::new(), 0);
    for task in tasks {
        let (accepted, others) = task.await.map_err(io::Error::other)??;
        times.extend(accepted);
        refused += others;
    }
    let took = start.elapsed();
    times.sort_unstable();
    let at = |share: f64| {
        times
            .get((times.len() as f64 * share) as usize)
            .copied()
            .unwrap_or_default()
    };
    Ok(Figures {
        rate: times.len() as f64 / took.as_secs_f64(),
        p99: at(0.99),
        p50: at(0.5),
        refused,
    })
}

fn on_the_wire(server: SocketAddr, api_key: &str, request: &Request) -> Vec<u8> {
    format!(
        "POST {} HTTP/1.1\r\nHost: {server}\r\nAuthorization: Bearer {api_key}\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nIdempotency-Key: {}\r\nContent-Length: {}\r\n\r\n{}",
        request.path,
        request.idempotency_key,
        request.body.len(),
        request.body
    )
    .into_bytes()
}

async fn one_connection(
    server: SocketAddr,
    requests: Arc<Mutex<Enumerate<impl Iterator<Item = Vec<u8>>>>>,
    pace: Option<(Instant, Duration)>,
) -> io::Result<(Vec<Duration>, usize)> {
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let (mut times, mut refused, mut buffer) = (Vec::new(), 0, Vec::with_capacity(4_096));
    loop {
        let next = requests.lock().ok().and_then(|mut requests| requests.next());
        let Some((number, request)) = next else { break };
        let start = match pace {
            Some((begin, interval)) => {
                let due = begin + interval.mul_f64(number as f64);
                tokio::time::sleep_until(due.into()).await;
                due
            }
            None => Instant::now(),
        };
        stream.write_all(&request).await?;
        if read_answer(&mut stream, &mut buffer).await? == 202 {
            times.push(start.elapsed());
        } else {
            refused += 1;
        }
    }
    Ok((times, refused))
}

/// Reads one answer whole and gives its status.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<u16> {
    buffer.clear();
    let head_end = loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::Error::other("the server closed the connection"));
        }
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).to_ascii_lowercase();
    let status = head.get(9..12).and_then(|code| code.parse().ok());
    let length: Option<usize> = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|value| value.trim().parse().ok());
    let (Some(status), Some(length)) = (status, length) else {
        return Err(io::Error::other("an answer without status or length"));
    };
    while buffer.len() < head_end + length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::Error::other("an answer broke off"));
        }
    }
    Ok(status)
}

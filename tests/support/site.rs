//! A web site of fixed answers, on which the tests' own browsers are tried.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

type Pages = Arc<dyn Fn(&str) -> (String, String) + Send + Sync>;

/// The site; it ends when it is dropped.
#[derive(Debug)]
pub struct Site {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Site {
    /// Answers every request with this head (status line, then headers) and body.
    pub async fn always(head: &str, body: &str) -> Self {
        let answer = (head.to_owned(), body.to_owned());
        Self::start(move |_| answer.clone()).await
    }

    /// Answers a request for a path with the head and body that the function gives.
    pub async fn start(pages: impl Fn(&str) -> (String, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let task = tokio::spawn(accept(listener, Arc::new(pages), seen.clone()));
        Self { address, seen, task }
    }

    /// The heads of all requests so far.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, pages: Pages, seen: Arc<Mutex<Vec<String>>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (pages, seen) = (pages.clone(), seen.clone());
        tokio::spawn(async move {
            // A browser that hangs up is its own affair.
            let _ = answer(stream, &pages, &seen).await;
        });
    }
}

async fn answer(stream: TcpStream, pages: &Pages, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    seen.lock().unwrap().push(head);
    let (head, body) = pages(&path);
    let framing = format!(
        "\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(format!("{head}{framing}").as_bytes()).await?;
    stream.shutdown().await
}

//! Log lines, of the libraries beneath too and at the finest level, hold neither the URL's secrets nor a payload.

use std::io;
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;

use super::*;

/// Stands in the path, the query, the body and the answer.
const CANARY: &str = "canary8d1f";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Captures this thread's log lines until the guard is dropped.
    fn start(&self) -> tracing::subscriber::DefaultGuard {
        let sink = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_writer(move || sink.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn assert_clean(log: &str) {
    assert!(!log.is_empty(), "nothing was captured");
    let line = log.lines().find(|line| line.contains(CANARY));
    assert_eq!(line, None);
}

#[tokio::test]
async fn a_call_over_http_1_logs_no_secret() {
    let endpoint = Endpoint::start(format!("HTTP/1.1 200 OK\r\n\r\n{CANARY}"), Then::Close).await;
    let target = RepairUrl::parse(
        &format!("{}/{CANARY}?{CANARY}", endpoint.url()),
        &development().policy,
    )
    .unwrap();
    let client = CallbackClient::new(development()).unwrap();
    let captured = Captured::default();
    let guard = captured.start();
    let outcome = client.call(&target, Vec::new(), CANARY.into(), pending()).await;
    drop(guard);
    assert_eq!(answer(&outcome).2, CANARY.as_bytes());
    assert_clean(&captured.text());
}

#[tokio::test]
async fn a_call_over_http_2_logs_no_secret() {
    let captured = Captured::default();
    let guard = captured.start();
    let (_, outcome) = tls::call_over_http_2(CANARY).await;
    drop(guard);
    assert_eq!(answer(&outcome).0, 200);
    assert_clean(&captured.text());
}

#[tokio::test]
async fn a_call_that_fails_logs_no_secret() {
    let captured = Captured::default();
    let guard = captured.start();
    let endpoint = Endpoint::start(format!("{CANARY}\r\n\r\n"), Then::Close).await;
    let outcome = post(development(), &format!("{}/{CANARY}", endpoint.url())).await;
    drop(guard);
    assert_eq!(failure(&outcome), NetworkErrorKind::Malformed);
    assert_clean(&captured.text());
}

//! A stand-in for SendPromptly: takes note of every request, and answers by a script.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) authorization: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

struct Shared {
    script: Mutex<Vec<u16>>,
    requests: watch::Sender<Vec<Request>>,
}

/// The stand-in; it ends with the test.
#[derive(Clone)]
pub(crate) struct Ingest {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Ingest {
    /// Answers with these statuses, one after another, and then always with 202.
    pub(crate) async fn start(script: &[u16]) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
    }

    pub(crate) fn start_on(listener: TcpListener, script: &[u16]) -> Self {
        let shared = Arc::new(Shared {
            script: Mutex::new(script.iter().rev().copied().collect()),
            requests: watch::Sender::default(),
        });
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.borrow().clone()
    }

    /// Waits until so many requests have come, and gives them.
    pub(crate) async fn after(&self, count: usize) -> Vec<Request> {
        let mut requests = self.shared.requests.subscribe();
        requests
            .wait_for(|requests| requests.len() >= count)
            .await
            .unwrap()
            .clone()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
    let request = Request {
        path: uri.path().to_owned(),
        key: header("idempotency-key"),
        authorization: header("authorization"),
        body: body.to_vec(),
    };
    shared.requests.send_modify(|requests| requests.push(request));
    let status = shared.script.lock().unwrap().pop().unwrap_or(202);
    StatusCode::from_u16(status).unwrap()
}

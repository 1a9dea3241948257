//! `/metrics`, on an address of its own: what it tells is the operator's and no customer's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::CommandError;
use crate::http::listener::{self, Limits};
use crate::http::tls::Tls;
use crate::http::{Response, response};
use crate::ingest::Queue;
use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::workers::Health;

/// Connections at once: a Prometheus or two, and somebody who looks.
const CONNECTIONS: usize = 16;

/// How long a scrape under way gets at a stop.
const DRAIN: Duration = Duration::from_secs(1);

/// What is looked at when somebody asks.
pub(super) struct Scraped {
    pub(super) metrics: Arc<Metrics>,
    pub(super) health: Health,
    pub(super) queue: Queue,
    pub(super) tls: Option<Tls>,
}

/// Answers at this address until the stop.
pub(super) async fn serve(
    address: SocketAddr,
    scraped: Scraped,
    mut stop: watch::Receiver<()>,
) -> Result<JoinHandle<()>, CommandError> {
    let listener = super::listen(address).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "metrics are told");
    let scraped = Arc::new(scraped);
    let served = listener::serve(
        listener,
        None,
        move |request, _| {
            let scraped = scraped.clone();
            async move { scraped.answer(&request) }
        },
        async move {
            let _ = stop.changed().await;
        },
        Limits {
            connections: CONNECTIONS,
            drain: DRAIN,
            ..Limits::default()
        },
    );
    Ok(tokio::spawn(served))
}

impl Scraped {
    fn answer(&self, request: &Request<Incoming>) -> Response {
        match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/metrics") => self.tell(),
            (_, "/metrics") => response::text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n"),
            _ => response::text(StatusCode::NOT_FOUND, "what there is here is at /metrics\n"),
        }
    }

    fn tell(&self) -> Response {
        self.metrics.commits.waiting(self.queue.waiting());
        for (worker, beat_age, in_trouble) in self.health.of_each() {
            self.metrics.health.worker(worker, beat_age, in_trouble);
        }
        if let Some(tls) = &self.tls {
            self.metrics.health.certificate(tls.holds_until());
        }
        match self.metrics.text() {
            Ok(text) => response::with_type(StatusCode::OK, CONTENT_TYPE, text),
            Err(_) => response::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the figures cannot be written\n",
            ),
        }
    }
}

//! Everything that answers at the server's address: the API for machines, and the console for people.

use std::fmt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::{Method, Request};
use ipnet::IpNet;
use sendpromptly_core::id::RequestId;
use tracing::Instrument;

use crate::api::{self, App, Handler};
use crate::config::log::LogRequests;
use crate::console::Console;
use crate::console::routes::Found;
use crate::http::{ApiError, Client, Response, host, negotiation, response, subject};
use crate::metrics::{Part, RequestMetrics};
use crate::platform::{clock, entropy};

mod request_log;

use request_log::{Answered, RequestLog};

/// The API and the console.
pub struct Site {
    /// The API.
    pub api: App,
    /// The console.
    pub console: Arc<Console>,
    /// Proxies whose word counts.
    trusted_proxies: Vec<IpNet>,
    metrics: RequestMetrics,
    log: RequestLog,
}

/// What answers at a path.
enum Place {
    Api(&'static str, Handler),
    Console(Found),
}

impl Place {
    /// Its path as the log tells it: without ids.
    const fn path(&self) -> &'static str {
        match self {
            Self::Api(path, _) => path,
            Self::Console(found) => found.route.path,
        }
    }

    /// Whose latency its own is part of.
    const fn part(&self) -> Part {
        match self {
            Self::Api(_, Handler::Ingest(_) | Handler::Announcement(_)) => Part::Ingest,
            Self::Api(
                _,
                Handler::Stripe | Handler::Alive | Handler::Ready | Handler::OpenApi | Handler::SecurityTxt,
            ) => Part::Other,
            Self::Console(_) => Part::Console,
        }
    }
}

impl Site {
    /// A site of these two.
    #[must_use]
    pub fn new(
        api: App,
        console: Arc<Console>,
        trusted_proxies: Vec<IpNet>,
        metrics: RequestMetrics,
        logged: LogRequests,
    ) -> Self {
        Self {
            api,
            console,
            trusted_proxies,
            metrics,
            log: RequestLog::new(logged),
        }
    }

    /// Forgets what is remembered of clients that have sent nothing lately.
    pub fn tidy(&self) {
        self.api.tidy();
        self.console.trials.tidy();
    }

    /// Answers a request; `tls` is whether it came over TLS. A panic in a handler ends that request only.
    pub async fn answer(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        peer: SocketAddr,
        tls: bool,
    ) -> Response {
        let start = Instant::now();
        let id = RequestId::new(clock::now(), entropy::for_id());
        let place = place_of(&request);
        let path = place.as_ref().map_or("-", Place::path);
        let part = place.as_ref().map_or(Part::Other, Place::part);
        let method = request.method().clone();
        let span = tracing::debug_span!("request", %id, path);
        let place = host::settle(&mut request).and(place);
        let client = Client::of(peer, tls, request.headers(), &self.trusted_proxies);
        let reads_html =
            !is_for_machines(request.uri().path()) && negotiation::prefers_html(request.headers());
        // Pinned where it is, for each layer around it would carry a copy otherwise.
        let handled = pin!(self.handle(place, request, client, id));
        let handled = AssertUnwindSafe(handled).catch_unwind();
        let (answered, project) = subject::found_by(handled.instrument(span)).await;
        let answered = match answered {
            Ok(answered) => answered,
            Err(_) => {
                tracing::error!(%id, path, "a handler panicked");
                Err(ApiError::Internal)
            }
        };
        let code = answered.as_ref().err().map(|error| error.status_and_code().1);
        let mut response = answered.unwrap_or_else(|error| {
            if reads_html {
                self.console.error_page(error, id)
            } else {
                error.into_response(id)
            }
        });
        response::finish(&mut response, id, client.secure);
        let (status, took) = (response.status(), start.elapsed());
        self.metrics.answered(path, part, status.as_u16(), took);
        self.log.tell(&Answered {
            id,
            method,
            path,
            status,
            took,
            code,
            project,
        });
        response
    }

    async fn handle(
        &self,
        place: Result<Place, ApiError>,
        request: Request<Incoming>,
        client: Client,
        id: RequestId,
    ) -> Result<Response, ApiError> {
        match place? {
            Place::Api(_, handler) => self.api.answer(handler, request, client).await,
            // Apart, for a receipt should not carry the room that a page takes.
            Place::Console(found) => Box::pin(self.console.answer(found, request, client, id)).await,
        }
    }
}

/// Whether a path is the API's, which answers in JSON whatever else the client would take.
fn is_for_machines(path: &str) -> bool {
    let is_api = ["/api/", "/v1/", "/webhooks/"]
        .iter()
        .any(|start| path.starts_with(start));
    is_api || api::find_route(&Method::GET, path).is_ok()
}

fn place_of(request: &Request<Incoming>) -> Result<Place, ApiError> {
    let (method, path) = (request.method(), request.uri().path());
    match api::find_route(method, path) {
        Ok(route) => Ok(Place::Api(route.path, route.handler)),
        Err(ApiError::NotFound) => crate::console::routes::find(method, path).map(Place::Console),
        Err(error) => Err(error),
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Site(..)")
    }
}

//! The API for machines: its route table, and what its handlers share.

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use sendpromptly_core::dedupe::Endpoint;
use sendpromptly_core::event::Provider;

use crate::http::response::{self, Response};
use crate::http::{ApiError, Client, body};
use crate::ingest::Ingest;
use crate::metrics::StripeMetrics;
use crate::platform::clock;
use crate::platform::seldom::Seldom;
use crate::store::Store;
use crate::stripe::Billing;
use crate::vault::Vault;

pub mod authenticate;
pub(crate) mod failures;
mod health;
mod ingest;
pub mod openapi;
mod payloads;
pub mod providers;
pub mod rate;
mod rooms;
mod stripe;
mod unverified;

pub use health::Readiness;

use authenticate::Authenticator;
use providers::Providers;
use rate::ProjectRate;
use unverified::{Target, UnverifiedBodies};

/// What answers at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handler {
    /// A receipt or a result.
    Ingest(Endpoint),
    /// What Stripe tells of subscriptions.
    Stripe,
    /// An event that a provider sends itself.
    Announcement(Provider),
    /// The process is alive.
    Alive,
    /// The process can do its work.
    Ready,
    /// The OpenAPI document.
    OpenApi,
    /// Whom to tell of a security problem (RFC 9116).
    SecurityTxt,
}

/// A path, its one method, and what answers. `GET` answers `HEAD` as well.
#[derive(Debug, Clone)]
pub struct Route {
    /// The path, to the letter; `{project}` at its end stands for any one part.
    pub path: &'static str,
    /// The method.
    pub method: Method,
    /// What answers.
    pub handler: Handler,
}

const fn route(method: Method, path: &'static str, handler: Handler) -> Route {
    Route {
        path,
        method,
        handler,
    }
}

/// Every path that there is.
pub static ROUTES: [Route; 11] = [
    route(
        Method::POST,
        "/api/v1/receipt",
        Handler::Ingest(Endpoint::Receipt),
    ),
    route(Method::POST, "/api/v1/result", Handler::Ingest(Endpoint::Result)),
    route(Method::POST, "/v1/receipt", Handler::Ingest(Endpoint::Receipt)),
    route(Method::POST, "/v1/result", Handler::Ingest(Endpoint::Result)),
    route(Method::POST, "/webhooks/stripe", Handler::Stripe),
    route(
        Method::POST,
        "/v1/providers/stripe/{project}",
        Handler::Announcement(Provider::Stripe),
    ),
    route(
        Method::POST,
        "/v1/providers/shopify/{project}",
        Handler::Announcement(Provider::Shopify),
    ),
    route(Method::GET, "/healthz", Handler::Alive),
    route(Method::GET, "/readyz", Handler::Ready),
    route(Method::GET, "/api/openapi.json", Handler::OpenApi),
    route(Method::GET, "/.well-known/security.txt", Handler::SecurityTxt),
];

/// What the handlers need.
#[derive(Debug)]
pub struct App {
    store: Store,
    ingest: Ingest,
    vault: Vault,
    authenticator: Authenticator,
    rate: ProjectRate,
    providers: Providers,
    unverified: UnverifiedBodies,
    /// Webhooks that were not signed by Stripe for this server.
    forged: Seldom,
    /// Webhooks of the mode of Stripe's in which no subscriptions are.
    of_another_mode: Seldom,
    readiness: Readiness,
    /// Where operators and customers reach this server, for `security.txt`.
    public_url: Option<String>,
    /// What billing goes by. Without it everything is allowed.
    billing: Option<Billing>,
    webhooks: StripeMetrics,
}

impl App {
    /// An API over this store and these committers; `requests_per_second` is for each project, 0 for no limit.
    #[must_use]
    pub fn new(
        store: Store,
        vault: Vault,
        ingest: Ingest,
        requests_per_second: u32,
        readiness: Readiness,
        public_url: Option<String>,
    ) -> Self {
        Self {
            authenticator: Authenticator::new(store.clone()),
            providers: Providers::new(store.clone(), vault.clone(), requests_per_second),
            store,
            ingest,
            vault,
            rate: ProjectRate::new(requests_per_second),
            unverified: UnverifiedBodies::default(),
            forged: Seldom::default(),
            of_another_mode: Seldom::default(),
            readiness,
            public_url,
            billing: None,
            webhooks: StripeMetrics::default(),
        }
    }

    /// The same where organizations pay, and Stripe's webhooks are counted.
    #[must_use]
    pub fn with_billing(mut self, billing: Option<Billing>, webhooks: StripeMetrics) -> Self {
        self.billing = billing;
        self.webhooks = webhooks;
        self
    }

    /// Forgets what is remembered of projects that have sent nothing lately.
    pub fn tidy(&self) {
        self.rate.tidy();
        self.providers.tidy();
    }

    /// Answers a request at one of its paths.
    ///
    /// # Errors
    /// [`ApiError`], as the client is told it.
    pub async fn answer(
        &self,
        handler: Handler,
        request: Request<Incoming>,
        client: Client,
    ) -> Result<Response, ApiError> {
        match handler {
            Handler::Ingest(endpoint) => {
                let (head, body) = request.into_parts();
                self.ingest(endpoint, &head.headers, client.address, body::read(body))
                    .await
            }
            Handler::Stripe => {
                let (head, body) = request.into_parts();
                let bodies = &self.unverified;
                let body = bodies.read(Target::Billing, client.address, body, stripe::MAX);
                Box::pin(self.stripe_webhook(&head.headers, body)).await
            }
            Handler::Announcement(provider) => {
                Box::pin(self.announce(provider, request, client.address)).await
            }
            Handler::Alive => Ok(response::json(StatusCode::OK, r#"{"status":"alive"}"#)),
            Handler::Ready => Ok(self.readiness.answer().await),
            Handler::OpenApi => Ok(response::json(StatusCode::OK, openapi::DOCUMENT)),
            Handler::SecurityTxt => Ok(self.security_txt()),
        }
    }

    fn security_txt(&self) -> Response {
        let policy = "https://github.com/sendpromptly/sendpromptly/security";
        let mut text = format!("Contact: {policy}/advisories/new\nPolicy: {policy}/policy\n");
        // RFC 9116 asks for a date in the near future; this one is always a year ahead.
        let expires = clock::now().plus_minutes(365 * 24 * 60);
        text.push_str(&format!("Expires: {expires}\nPreferred-Languages: en\n"));
        if let Some(url) = &self.public_url {
            text.push_str(&format!(
                "Canonical: {}/.well-known/security.txt\n",
                url.trim_end_matches('/')
            ));
        }
        response::text(StatusCode::OK, text)
    }
}

/// The route of this method and path.
///
/// # Errors
/// [`ApiError::NotFound`], or [`ApiError::MethodNotAllowed`] where the path has another method.
pub fn find_route(method: &Method, path: &str) -> Result<&'static Route, ApiError> {
    let at_path = || ROUTES.iter().filter(|route| is_at(route.path, path));
    let fits =
        |route: &&Route| route.method == method || (route.method == Method::GET && method == Method::HEAD);
    if let Some(route) = at_path().find(fits) {
        return Ok(route);
    }
    let allowed: Vec<&str> = at_path()
        .flat_map(|route| {
            if route.method == Method::GET {
                &["GET", "HEAD"][..]
            } else {
                &["POST"][..]
            }
        })
        .copied()
        .collect();
    if allowed.is_empty() {
        Err(ApiError::NotFound)
    } else {
        Err(ApiError::MethodNotAllowed(allowed.join(", ")))
    }
}

/// Whether a route's path is this one.
fn is_at(route: &str, path: &str) -> bool {
    match route.strip_suffix("{project}") {
        None => route == path,
        Some(start) => path
            .strip_prefix(start)
            .is_some_and(|part| !part.is_empty() && !part.contains('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_to_the_letter_and_get_answers_head() {
        let find = |method, path: &str| find_route(&method, path).map(|route| route.handler);
        assert_eq!(
            find(Method::POST, "/v1/receipt"),
            Ok(Handler::Ingest(Endpoint::Receipt))
        );
        assert_eq!(find(Method::HEAD, "/healthz"), Ok(Handler::Alive));
        let stripe = Handler::Announcement(Provider::Stripe);
        assert_eq!(find(Method::POST, "/v1/providers/stripe/prj_1"), Ok(stripe));
        for path in [
            "stripe",
            "stripe/",
            "stripe/prj_1/",
            "stripe/prj_1/x",
            "paypal/prj_1",
        ] {
            let path = format!("/v1/providers/{path}");
            assert_eq!(find(Method::POST, &path), Err(ApiError::NotFound), "{path}");
        }
        for path in ["/v1/receipt/", "//v1/receipt", "/V1/receipt", "/v1", "/", ""] {
            assert_eq!(find(Method::POST, path), Err(ApiError::NotFound), "{path}");
        }
        assert_eq!(
            find(Method::GET, "/v1/result"),
            Err(ApiError::MethodNotAllowed("POST".to_owned()))
        );
        assert_eq!(
            find(Method::POST, "/readyz"),
            Err(ApiError::MethodNotAllowed("GET, HEAD".to_owned()))
        );
    }
}

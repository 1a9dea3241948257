//! Events that providers send to us themselves: verified by the provider's own signature, and answered once they are
//! durable.
//!
//! Nothing of a body is looked at before its signature holds. Whether a project is not there, takes nothing from the
//! provider, or the signature is wrong, the answer is the same.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode};
use moka::future::Cache;
use sendpromptly_core::billing::Plan;
use sendpromptly_core::event::Provider;
use sendpromptly_core::id::{EventId, ProjectId};
use sendpromptly_core::intake::{Announcement, Mapping, NotAnEvent, ShopifyHeaders};
use sendpromptly_core::request::FieldErrors;
use sendpromptly_core::time::Timestamp;
use tokio::sync::Semaphore;

use super::App;
use super::failures::Failures;
use super::rate::ProjectRate;
use crate::http::response::{self, Response};
use crate::http::{ApiError, body, subject};
use crate::platform::{clock, entropy};
use crate::provider_intake::signature::{self, ProviderKey};
use crate::store::Store;
use crate::store::announcements::NewAnnouncement;
use crate::vault::{Purpose, Vault};

/// The most bytes of an event: theirs are larger than receipts, for they bear whole orders and invoices.
const MAX: usize = 512 * 1_024;
/// Bodies that are read at once. They are not verified yet, so what they take of memory is bounded.
const AT_ONCE: usize = 64;
/// How long a look-up counts, as for API keys.
const REMEMBERED: Duration = Duration::from_secs(4);
/// Look-ups remembered, of endpoints that are set up and of ones that are not.
const REMEMBERED_INTAKES: u64 = 10_000;
/// How long after it was set up an endpoint is looked up whatever others do.
const FAMILIAR: Duration = Duration::from_secs(60 * 60);
/// Look-ups at once of endpoints that were not set up lately.
const STRANGERS: usize = 8;

/// How long one more waits for its turn, where the store is slow.
const PATIENCE: Duration = Duration::from_secs(5);

/// An endpoint: a project's, for a provider.
type Name = (ProjectId, Provider);

/// What is needed to take events at an endpoint.
struct Intake {
    timeout_minutes: u32,
    plan: Plan,
    keys: Vec<(ProviderKey, Option<Timestamp>)>,
    mapping: Mapping,
}

/// The endpoints of projects for providers.
pub struct Providers {
    store: Store,
    vault: Vault,
    intakes: Cache<Name, Option<Arc<Intake>>>,
    familiar: Cache<Name, ()>,
    strangers: Semaphore,
    failures: Failures,
    bodies: Semaphore,
    /// A rate of their own, so that what providers send does not take that of the project's app.
    rate: ProjectRate,
}

impl Providers {
    /// Endpoints of this store; each project takes so many events a second, 0 for no limit.
    #[must_use]
    pub fn new(store: Store, vault: Vault, events_per_second: u32) -> Self {
        let cache = Cache::builder().max_capacity(REMEMBERED_INTAKES);
        Self {
            store,
            vault,
            intakes: cache.time_to_live(REMEMBERED).build(),
            familiar: Cache::builder()
                .max_capacity(REMEMBERED_INTAKES)
                .time_to_live(FAMILIAR)
                .build(),
            strangers: Semaphore::new(STRANGERS),
            failures: Failures::default(),
            bodies: Semaphore::new(AT_ONCE),
            rate: ProjectRate::new(events_per_second),
        }
    }

    /// Forgets what is remembered of projects to which nothing was sent lately.
    pub fn tidy(&self) {
        self.rate.tidy();
    }

    /// What is needed to take events at this endpoint.
    async fn find(&self, name: Name, client: IpAddr) -> Result<Arc<Intake>, ApiError> {
        let found = match self.intakes.get(&name).await {
            Some(found) => found,
            None => self.look_up(name, client).await?,
        };
        match found {
            Some(intake) => Ok(intake),
            None => Err(self.refuse(client)),
        }
    }

    /// Requests that come at once for one endpoint make one look-up.
    async fn look_up(&self, name: Name, client: IpAddr) -> Result<Option<Arc<Intake>>, ApiError> {
        let looked = self
            .intakes
            .try_get_with(name, self.open_in_turn(name, client))
            .await;
        looked.map_err(|error: Arc<ApiError>| (*error).clone())
    }

    async fn open_in_turn(&self, name: Name, client: IpAddr) -> Result<Option<Arc<Intake>>, ApiError> {
        if self.familiar.get(&name).await.is_some() {
            return self.open(name).await;
        }
        // Whoever was refused too often lately makes no look-ups.
        self.failures.count(client)?.take_back();
        let place = tokio::time::timeout(PATIENCE, self.strangers.acquire()).await;
        let Ok(Ok(_place)) = place else {
            return Err(ApiError::Unavailable);
        };
        let found = self.open(name).await?;
        if found.is_some() {
            self.familiar.insert(name, ()).await;
        }
        Ok(found)
    }

    async fn open(&self, (project, provider): Name) -> Result<Option<Arc<Intake>>, ApiError> {
        let unavailable = |error: &dyn std::fmt::Display| {
            tracing::warn!(%project, %provider, %error, "a provider's endpoint could not be looked up");
            ApiError::Unavailable
        };
        let found = self.store.provider_intake(project, provider).await;
        let Some(stored) = found.map_err(|error| unavailable(&error))? else {
            return Ok(None);
        };
        let mut keys = Vec::with_capacity(stored.secrets.len());
        for secret in &stored.secrets {
            let purpose = Purpose::ProviderSecret(project);
            let opened = self.vault.open_sealed(purpose, &secret.id, &secret.sealed).await;
            let opened = opened.map_err(|error| unavailable(&error))?;
            keys.push((ProviderKey::new(provider, &opened), secret.expires_at));
        }
        Ok(Some(Arc::new(Intake {
            timeout_minutes: stored.timeout_minutes,
            plan: stored.plan,
            keys,
            mapping: stored.mapping,
        })))
    }

    fn refuse(&self, client: IpAddr) -> ApiError {
        match self.failures.count(client) {
            Ok(_) => ApiError::NotBelieved,
            Err(too_many) => too_many,
        }
    }
}

impl App {
    /// Takes an event that a provider sends.
    pub(super) async fn announce(
        &self,
        provider: Provider,
        request: Request<Incoming>,
        client: IpAddr,
    ) -> Result<Response, ApiError> {
        let (head, body) = request.into_parts();
        let project = project_of(head.uri.path())?;
        let providers = &self.providers;
        let name = (project, provider);
        providers.find(name, client).await?;
        subject::is(project);
        let Some(signature) = header(&head.headers, signature::header_of(provider)) else {
            return Err(providers.refuse(client));
        };
        let body = {
            let _room = providers
                .bodies
                .try_acquire()
                .map_err(|_| ApiError::Unavailable)?;
            body::read_within(body, MAX).await.map_err(too_large)?
        };
        // Again, for a body may take longer than a secret that was ended may count.
        let intake = providers.find(name, client).await?;
        let now = clock::now();
        let live = intake
            .keys
            .iter()
            .filter(|(_, ends)| ends.is_none_or(|end| now < end));
        let live: Vec<_> = live.map(|(key, _)| key).collect();
        if !signature::holds(&live, signature, &body, now) {
            return Err(providers.refuse(client));
        }
        providers.rate.count(project)?;
        let announcement = match provider {
            Provider::Stripe => Announcement::of_stripe(&body, &intake.mapping, now),
            Provider::Shopify => {
                Announcement::of_shopify(&body, shopify_headers(&head.headers), &intake.mapping, now)
            }
        };
        drop(body);
        let announcement = announcement.map_err(not_an_event)?;
        // Where receipts are refused, none will come. The provider need not send it again.
        let announcement = announcement.filter(|_| self.may_be_monitored(&intake.plan).is_ok());
        let watched = announcement.is_some();
        if let Some(announcement) = announcement {
            let new = NewAnnouncement {
                project,
                event: EventId::new(now, entropy::for_id()),
                announcement,
                timeout_at: now.plus_minutes(intake.timeout_minutes),
            };
            self.ingest.announce(new).await?;
        }
        let answer = format!(r#"{{"received":true,"watched":{watched}}}"#);
        Ok(response::json(StatusCode::OK, answer))
    }
}

/// The path of a project's endpoint for a provider.
#[must_use]
pub fn path(project: ProjectId, provider: Provider) -> String {
    format!("/v1/providers/{provider}/{project}")
}

/// The project that the path ends with.
fn project_of(path: &str) -> Result<ProjectId, ApiError> {
    let (_, part) = path.rsplit_once('/').ok_or(ApiError::NotFound)?;
    part.parse().map_err(|_| ApiError::NotFound)
}

/// The one value of a header.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn shopify_headers(headers: &HeaderMap) -> ShopifyHeaders<'_> {
    ShopifyHeaders {
        event_id: header(headers, "x-shopify-event-id"),
        topic: header(headers, "x-shopify-topic"),
        shop_domain: header(headers, "x-shopify-shop-domain"),
        triggered_at: header(headers, "x-shopify-triggered-at"),
    }
}

fn too_large(error: ApiError) -> ApiError {
    match error {
        ApiError::PayloadTooLarge => ApiError::EventTooLarge,
        error => error,
    }
}

fn not_an_event(error: NotAnEvent) -> ApiError {
    ApiError::Invalid(FieldErrors::one("body", error.to_string()))
}

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Providers(..)")
    }
}

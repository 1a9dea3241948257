//! Events that providers send to us themselves: verified by the provider's own signature, and answered once they are
//! durable.
//!
//! Nothing of a body is looked at before its signature holds. Whether a project is not there, takes nothing from the
//! provider, or the signature is wrong, the answer is the same.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode};
use moka::future::Cache;
use sendpromptly_core::billing::Plan;
use sendpromptly_core::event::Provider;
use sendpromptly_core::id::{EventId, ProjectId};
use sendpromptly_core::intake::{Announcement, Mapping, NotAnEvent, ShopifyHeaders};
use sendpromptly_core::request::FieldErrors;
use sendpromptly_core::time::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::App;
use super::rate::ProjectRate;
use super::rooms::Rooms;
use super::unverified::Target;
use crate::http::response::{self, Response};
use crate::http::{ApiError, network, subject};
use crate::platform::{clock, entropy};
use crate::provider_intake::signature::{self, ProviderKey, ProviderSignature};
use crate::store::Store;
use crate::store::announcements::NewAnnouncement;
use crate::vault::{Purpose, Vault};

/// The most bytes of an event: theirs are larger than receipts, for they bear whole orders and invoices.
const MAX: usize = 512 * 1_024;
/// How long a look-up counts, as for API keys.
const REMEMBERED: Duration = Duration::from_secs(4);
/// Look-ups remembered, of endpoints that are set up and of ones that are not.
const REMEMBERED_INTAKES: u64 = 10_000;
/// How long after something came for it an endpoint is looked up whatever others do.
const FAMILIAR: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Look-ups at once for what is not a familiar endpoint: in all, and for one network.
const STRANGERS: usize = 8;
const STRANGERS_OF_A_NETWORK: usize = 2;

/// How long one more waits for its turn, where the store is slow.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a stranger holds while it looks up: a place of its network's, and one of all.
type Turn<'a> = (OwnedSemaphorePermit, SemaphorePermit<'a>);

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
    strangers_of_networks: Rooms<IpAddr>,
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
                .time_to_idle(FAMILIAR)
                .build(),
            strangers: Semaphore::new(STRANGERS),
            strangers_of_networks: Rooms::new(STRANGERS_OF_A_NETWORK),
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
        found.ok_or(ApiError::NotBelieved)
    }

    /// Requests that come at once for one endpoint make one look-up.
    async fn look_up(&self, name: Name, client: IpAddr) -> Result<Option<Arc<Intake>>, ApiError> {
        let is_familiar = self.familiar.get(&name).await.is_some();
        let _turn = if is_familiar {
            None
        } else {
            Some(self.turn(client).await?)
        };
        let looked = self.intakes.try_get_with(name, self.open(name)).await;
        let found = looked.map_err(|error: Arc<ApiError>| (*error).clone())?;
        match (&found, is_familiar) {
            (Some(_), false) => self.familiar.insert(name, ()).await,
            (None, true) => self.familiar.invalidate(&name).await,
            _ => {}
        }
        Ok(found)
    }

    /// A stranger's turn to make a look-up. Providers send for everybody from the same addresses, so nothing is counted
    /// against an address: others would have to wait for what one has done.
    async fn turn(&self, client: IpAddr) -> Result<Turn<'_>, ApiError> {
        let turn = async {
            let of_network = self.strangers_of_networks.enter(network(client), 1).await?;
            Some((of_network, self.strangers.acquire().await.ok()?))
        };
        let turn = tokio::time::timeout(PATIENCE, turn).await;
        turn.ok().flatten().ok_or(ApiError::Unavailable)
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
        // Before all else, so that it says nothing of which endpoints there are.
        if body.size_hint().lower() > MAX as u64 {
            return Err(ApiError::EventTooLarge);
        }
        let signature = header(&head.headers, signature::header_of(provider));
        let signature = signature.and_then(|text| ProviderSignature::parse(provider, text));
        let signature = signature.ok_or(ApiError::NotBelieved)?;
        providers.find(name, client).await?;
        subject::is(project);
        let target = Target::Project(project, provider);
        let body = self
            .unverified
            .read(target, client, body, MAX)
            .await
            .map_err(too_large)?;
        // Again, for a body may take longer than a secret that was ended may count.
        let intake = providers.find(name, client).await?;
        let now = clock::now();
        let live = intake
            .keys
            .iter()
            .filter(|(_, ends)| ends.is_none_or(|end| now < end));
        let live: Vec<_> = live.map(|(key, _)| key).collect();
        if !signature.holds(&live, &body, now) {
            return Err(ApiError::NotBelieved);
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

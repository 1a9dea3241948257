//! The endpoints of projects for providers, looked up and remembered.
//!
//! Anybody may ask for one that is not there. So that is remembered as well, and look-ups for what nothing has come for
//! lately wait for their turn.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use sendpromptly_core::billing::Plan;
use sendpromptly_core::event::Provider;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::intake::Mapping;
use sendpromptly_core::time::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::api::rate::ProjectRate;
use crate::api::rooms::Rooms;
use crate::http::{ApiError, network};
use crate::provider_intake::signature::ProviderKey;
use crate::store::Store;
use crate::vault::{Purpose, Vault};

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
pub(super) struct Intake {
    pub(super) timeout_minutes: u32,
    pub(super) plan: Plan,
    /// What a signature may be made with, each until when.
    keys: Vec<(ProviderKey, Option<Timestamp>)>,
    pub(super) mapping: Mapping,
}

impl Intake {
    /// What a signature may be made with at this time.
    pub(super) fn live_keys(&self, now: Timestamp) -> Vec<&ProviderKey> {
        let keys = self.keys.iter();
        let live = keys.filter(|(_, ends)| ends.is_none_or(|end| now < end));
        live.map(|(key, _)| key).collect()
    }
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
    pub(super) rate: ProjectRate,
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
    pub(super) async fn find(&self, name: Name, client: IpAddr) -> Result<Arc<Intake>, ApiError> {
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

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Providers(..)")
    }
}

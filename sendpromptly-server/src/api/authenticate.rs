//! Who sends a request: its API key, looked up at most every few seconds.

use std::net::IpAddr;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap};
use moka::future::Cache;
use sendpromptly_core::credential::{ApiKey, KeyHash};
use tokio::sync::Semaphore;

use super::failures::Failures;
use crate::http::ApiError;
use crate::store::Store;
use crate::store::api_keys::KeyHolder;

/// How long a look-up counts. A revoked key is refused everywhere within five seconds, look-up included.
const REMEMBERED: Duration = Duration::from_secs(4);
/// Look-ups remembered, of keys that exist and of ones that do not.
const REMEMBERED_KEYS: u64 = 10_000;
/// How long after it was good a key may be looked up again whatever others do from the same address.
const FAMILIAR: Duration = Duration::from_secs(60 * 60);
/// Look-ups at once of keys that were not good lately.
const STRANGERS: usize = 8;
/// How long one more waits for its turn, where the store is slow.
const PATIENCE: Duration = Duration::from_secs(5);

/// Finds out whose API key a request bears.
#[derive(Debug)]
pub struct Authenticator {
    store: Store,
    holders: Cache<KeyHash, Option<KeyHolder>>,
    /// Keys that were good lately. Behind one address, or one proxy that nobody has declared, a stranger's
    /// failures must not lock out those who have a key.
    familiar: Cache<KeyHash, ()>,
    failures: Failures,
    /// Look-ups of keys that were not good lately. They are few at once, for each counts as a failure while it
    /// lasts, and many good keys may come anew from one address.
    strangers: Semaphore,
}

impl Authenticator {
    /// Looks keys up in this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let cache = |lives| Cache::builder().max_capacity(REMEMBERED_KEYS).time_to_live(lives);
        Self {
            store,
            holders: cache(REMEMBERED).build(),
            familiar: Cache::builder()
                .max_capacity(REMEMBERED_KEYS)
                .time_to_live(FAMILIAR)
                .build(),
            failures: Failures::default(),
            strangers: Semaphore::new(STRANGERS),
        }
    }

    /// Whose request it is.
    ///
    /// # Errors
    /// [`ApiError::Unauthorized`] for no, a malformed, an unknown or a revoked key alike,
    /// [`ApiError::RateLimited`] in its place after 100 a minute from one address, [`ApiError::Unavailable`]
    /// where the look-up failed.
    pub async fn authenticate(&self, headers: &HeaderMap, client: IpAddr) -> Result<KeyHolder, ApiError> {
        let Some(key) = bearer(headers).and_then(|text| ApiKey::parse(text).ok()) else {
            self.failures.count(client)?;
            return Err(ApiError::Unauthorized);
        };
        self.holder_of(&key, client).await
    }

    /// What this key opens.
    ///
    /// # Errors
    /// As [`Self::authenticate`].
    pub async fn holder_of(&self, key: &ApiKey, client: IpAddr) -> Result<KeyHolder, ApiError> {
        let hash = key.hash();
        let (holder, counted) = match self.holders.get(&hash).await {
            Some(holder) => (holder, false),
            None => self.look_up_once(hash, client).await?,
        };
        if holder.is_none() && !counted {
            self.failures.count(client)?;
        }
        holder.ok_or(ApiError::Unauthorized)
    }

    /// Requests that come at once with one key make one look-up. Tells too whether this one has made it, and
    /// so has been counted.
    async fn look_up_once(
        &self,
        hash: KeyHash,
        client: IpAddr,
    ) -> Result<(Option<KeyHolder>, bool), ApiError> {
        let entry = self.holders.entry(hash);
        match entry.or_try_insert_with(self.look_up(hash, client)).await {
            Ok(entry) => {
                let counted = entry.is_fresh();
                Ok((entry.into_value(), counted))
            }
            Err(error) => Err((*error).clone()),
        }
    }

    async fn look_up(&self, hash: KeyHash, client: IpAddr) -> Result<Option<KeyHolder>, ApiError> {
        let found = if self.familiar.contains_key(&hash) {
            self.find(hash).await
        } else {
            self.look_up_stranger(hash, client).await
        };
        // Each time anew, for a key in use must never turn into a stranger's.
        if let Ok(Some(_)) = found {
            self.familiar.insert(hash, ()).await;
        }
        found
    }

    async fn look_up_stranger(&self, hash: KeyHash, client: IpAddr) -> Result<Option<KeyHolder>, ApiError> {
        let place = tokio::time::timeout(PATIENCE, self.strangers.acquire()).await;
        let Ok(Ok(_place)) = place else {
            return Err(ApiError::Unavailable);
        };
        // A failure until it turns out to be none, so that guesses at once make no more look-ups than guesses
        // one after another.
        let failure = self.failures.count(client)?;
        let found = self.find(hash).await;
        if !matches!(found, Ok(None)) {
            failure.take_back();
        }
        found
    }

    async fn find(&self, hash: KeyHash) -> Result<Option<KeyHolder>, ApiError> {
        self.store.find_key(&hash).await.map_err(|error| {
            tracing::warn!(%error, "an API key could not be looked up");
            ApiError::Unavailable
        })
    }
}

/// The token of the one `Authorization: Bearer …` header (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start_matches(' '))
}

#[cfg(test)]
mod tests;

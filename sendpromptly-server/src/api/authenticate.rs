//! Who sends a request: its API key, looked up at most every few seconds.

use std::net::IpAddr;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap};
use moka::future::Cache;
use sendpromptly_core::credential::{ApiKey, KeyHash};

use super::failures::Failures;
use crate::http::ApiError;
use crate::store::Store;
use crate::store::api_keys::KeyHolder;

/// How long a look-up counts. A revoked key is refused everywhere within five seconds, look-up included.
const REMEMBERED: Duration = Duration::from_secs(4);
/// Look-ups remembered, of keys that exist and of ones that do not.
const REMEMBERED_KEYS: u64 = 10_000;
/// How long a key that was good may be looked up again whatever others do from the same address.
const FAMILIAR: Duration = Duration::from_secs(60 * 60);

/// Finds out whose API key a request bears.
#[derive(Debug)]
pub struct Authenticator {
    store: Store,
    holders: Cache<KeyHash, Option<KeyHolder>>,
    /// Keys that were good lately. Behind one address, or one proxy that nobody has declared, a stranger's
    /// failures must not lock out those who have a key.
    familiar: Cache<KeyHash, ()>,
    failures: Failures,
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
        let hash = key.hash();
        match self.holders.get(&hash).await {
            Some(Some(holder)) => return Ok(holder),
            Some(None) => {
                self.failures.count(client)?;
                return Err(ApiError::Unauthorized);
            }
            None => {}
        }
        // Requests that come at once with one key make one look-up, and wait for whoever began it.
        loop {
            let mut began = false;
            let found = self
                .holders
                .try_get_with(hash, self.look_up(&hash, client, &mut began))
                .await;
            match found {
                Ok(Some(holder)) => return Ok(holder),
                Ok(None) if began => return Err(ApiError::Unauthorized),
                Ok(None) => {
                    self.failures.count(client)?;
                    return Err(ApiError::Unauthorized);
                }
                // That is about the other's address.
                Err(error) if !began && matches!(*error, ApiError::RateLimited(_)) => {}
                Err(error) => return Err((*error).clone()),
            }
        }
    }

    async fn look_up(
        &self,
        hash: &KeyHash,
        client: IpAddr,
        began: &mut bool,
    ) -> Result<Option<KeyHolder>, ApiError> {
        *began = true;
        if self.familiar.contains_key(hash) {
            return self.find(hash).await;
        }
        // A failure until it turns out good, so that a thousand guesses at once make no more look-ups than
        // one after another.
        let failure = self.failures.count(client)?;
        let holder = self.find(hash).await?;
        if holder.is_some() {
            failure.take_back();
            self.familiar.insert(*hash, ()).await;
        }
        Ok(holder)
    }

    async fn find(&self, hash: &KeyHash) -> Result<Option<KeyHolder>, ApiError> {
        self.store.find_key(hash).await.map_err(|error| {
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
mod tests {
    use super::*;

    fn token(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        bearer(&headers).map(str::to_owned)
    }

    #[test]
    fn one_bearer_header_holds_the_key() {
        assert_eq!(token(&["Bearer sk_a"]).as_deref(), Some("sk_a"));
        assert_eq!(token(&["bearer  sk_a"]).as_deref(), Some("sk_a"));
        for wrong in [
            &[][..],
            &["sk_a"],
            &["Basic sk_a"],
            &["Bearer"],
            &["Bearer sk_a", "Bearer sk_a"],
        ] {
            assert_eq!(token(wrong), None, "{wrong:?}");
        }
    }
}

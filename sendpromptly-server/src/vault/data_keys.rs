//! Data keys at hand: unwrapped, remembered, and counted as they are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::future::Cache;
use sendpromptly_core::envelope::{DataKey, data_key_id};
use sendpromptly_core::time::Timestamp;

use super::master_keys::MasterKeyring;
use super::{Purpose, VaultError};
use crate::config::keys::MasterKeySource;
use crate::platform::entropy;
use crate::store::Store;
use crate::store::data_keys::{KeyUse, day_of};
use crate::store::snapshots::Era;

/// How long a data key that was destroyed may still seal and open, on a node that has used it.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);
/// Data keys remembered for each of the two ways to use them.
const REMEMBERED_KEYS: u64 = 10_000;

/// How long it is known how often a data key has sealed, after it did so last. By then a key that goes by days is
/// used no more, and another one is counted anew, as by a process that starts.
const COUNTED: Duration = Duration::from_secs(24 * 60 * 60);
/// Data keys whose seals are counted.
const COUNTED_KEYS: u64 = 100_000;

pub(super) struct DataKeys {
    store: Store,
    ring: MasterKeyring,
    binding: DataKey,
    max_seals: u64,
    opening: Cache<[u8; 16], Arc<DataKey>>,
    sealing: Cache<(KeyUse, Era), Arc<Sealer>>,
    /// How often each data key has sealed. The counts outlast the keys, which leave memory sooner.
    seals: Cache<[u8; 16], Arc<AtomicU64>>,
}

/// A data key with which values are sealed.
struct Sealer {
    key: Arc<DataKey>,
    seals: Arc<AtomicU64>,
}

impl DataKeys {
    pub(super) async fn open(store: &Store, source: &MasterKeySource) -> Result<Self, VaultError> {
        let (ring, binding) = MasterKeyring::open(store, source).await?;
        Ok(Self {
            binding,
            store: store.clone(),
            ring,
            max_seals: DataKey::MAX_SEALS,
            opening: remembering(),
            sealing: remembering(),
            seals: Cache::builder()
                .max_capacity(COUNTED_KEYS)
                .time_to_idle(COUNTED)
                .build(),
        })
    }

    /// The same where a data key is done after so many seals.
    #[cfg(test)]
    pub(super) const fn sealing_at_most(mut self, max_seals: u64) -> Self {
        self.max_seals = max_seals;
        self
    }

    /// The master keys that wrap them.
    pub(super) const fn ring(&self) -> &MasterKeyring {
        &self.ring
    }

    /// The key that binds the store to its master key: the same on every node, for as long as the store lasts.
    pub(super) const fn binding(&self) -> &DataKey {
        &self.binding
    }

    /// The data key with which to seal one value more.
    pub(super) async fn to_seal(&self, purpose: Purpose, now: Timestamp) -> Result<Arc<DataKey>, VaultError> {
        let key_use = key_use(purpose, now);
        let sealed_by = (key_use, purpose.era());
        let sealer = match self.sealing.get(&sealed_by).await {
            Some(sealer) => sealer,
            None => {
                let newest = self.sealing.try_get_with(sealed_by, self.newest(key_use, now));
                newest.await.map_err(VaultError::Shared)?
            }
        };
        if sealer.seals.fetch_add(1, Ordering::Relaxed) < self.max_seals {
            return Ok(sealer.key.clone());
        }
        let fresh = self.make(key_use, now).await?;
        self.sealing.insert(sealed_by, fresh.clone()).await;
        fresh.seals.fetch_add(1, Ordering::Relaxed);
        Ok(fresh.key.clone())
    }

    /// The data key under which a value was sealed.
    pub(super) async fn to_open(&self, sealed: &[u8]) -> Result<Arc<DataKey>, VaultError> {
        let id = data_key_id(sealed)?;
        let key = self.opening.try_get_with(id, async {
            let stored = self.store.data_key(&id).await?.ok_or(VaultError::KeyIsGone)?;
            Ok(Arc::new(self.ring.unwrap(&stored).await?))
        });
        key.await.map_err(VaultError::Shared)
    }

    /// Two nodes that both find none make one each: every ciphertext names its own. So nobody waits for one that does
    /// not unwrap either.
    async fn newest(&self, key_use: KeyUse, now: Timestamp) -> Result<Arc<Sealer>, VaultError> {
        let Some(stored) = self.store.newest_data_key(&key_use).await? else {
            return self.make(key_use, now).await;
        };
        match self.ring.unwrap(&stored).await {
            Ok(key) => Ok(self.sealer(key).await),
            Err(error @ (VaultError::Damaged(_) | VaultError::WrongMasterKey(_))) => {
                let (purpose, day) = (key_use.purpose, key_use.day);
                tracing::error!(purpose, day, %error, "a data key does not unwrap here, so a new one is made to seal with");
                self.make(key_use, now).await
            }
            Err(error) => Err(error),
        }
    }

    async fn make(&self, key_use: KeyUse, now: Timestamp) -> Result<Arc<Sealer>, VaultError> {
        let key = DataKey::new(entropy::ordered_id(now), entropy::bytes());
        self.ring.store_new(&key_use, &key).await?;
        Ok(self.sealer(key).await)
    }

    /// A data key to seal with, counted on from where it was when it left memory.
    async fn sealer(&self, key: DataKey) -> Arc<Sealer> {
        let seals = self.seals.get_with(*key.id(), async { Arc::default() }).await;
        Arc::new(Sealer {
            key: Arc::new(key),
            seals,
        })
    }
}

/// A memory of data keys, which leave it in time: one that was destroyed is then nowhere.
fn remembering<K, V>() -> Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder()
        .max_capacity(REMEMBERED_KEYS)
        .time_to_live(REMEMBERED)
        .build()
}

const fn key_use(purpose: Purpose, now: Timestamp) -> KeyUse {
    let day = if purpose.goes_by_days() { day_of(now) } else { 0 };
    KeyUse {
        scope: purpose.scope(),
        scope_id: *purpose.owner(),
        purpose: purpose.as_str(),
        day,
    }
}

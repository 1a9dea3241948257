//! The master keys at hand, held against those that the store names.

use std::collections::HashMap;
use std::time::Duration;

use sendpromptly_core::envelope::{DataKey, OpenError};
use sendpromptly_core::master_keys::UnwrapError;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::VaultError;
use super::provider::{KeyProvider, ProviderError, provider};
use super::ring_file::RingFile;
use crate::config::keys::MasterKeySource;
use crate::platform::entropy;
use crate::store::data_keys::{KeyUse, WrappedKey};
use crate::store::master_keys::BINDING;
use crate::store::{Store, StoreError};

/// A key that was asked for in vain is asked for again after this: the provider may be a command that takes its
/// time.
const BETWEEN_LOADS: Duration = Duration::from_secs(5);

/// How often a data key is wrapped anew since another master key became active meanwhile.
const TRIES: u32 = 5;

/// The master keys of a store.
pub(super) struct MasterKeyring {
    store: Store,
    provider: Box<dyn KeyProvider>,
    /// When keys were asked for in vain, by their names.
    in_vain: Mutex<HashMap<String, Instant>>,
}

impl MasterKeyring {
    /// Opens a store with its master keys, and gives the key that binds it to them. Makes the first one where
    /// the store has never had any.
    pub(super) async fn open(store: &Store, source: &MasterKeySource) -> Result<(Self, DataKey), VaultError> {
        let bound = store.data_key(&BINDING).await?;
        let ring = Self {
            store: store.clone(),
            provider: provider(source),
            in_vain: Mutex::default(),
        };
        ring.load_first(source, bound.is_some()).await?;
        let binding = match bound {
            Some(bound) => ring.unwrap(&bound).await?,
            None => ring.bind().await?,
        };
        // What is missing is told now, and not by the first value that does not open.
        for some in store.some_data_keys_of_each().await? {
            ring.must_unwrap_any(&some).await?;
        }
        Ok((ring, binding))
    }

    /// Refuses a master key that is missing, or that unwraps none of these data keys that bear its name. A single
    /// one may be damaged, for which nobody is locked out of all others.
    async fn must_unwrap_any(&self, some: &[WrappedKey]) -> Result<(), VaultError> {
        let mut refused = None;
        for wrapped in some {
            match self.unwrap(wrapped).await {
                Ok(_) => return Ok(()),
                Err(VaultError::Damaged(why)) => refused = Some(VaultError::WrongMasterKey(why)),
                Err(error) => return Err(error),
            }
        }
        match refused {
            Some(error) if some.len() > 1 => Err(error),
            Some(error) => {
                tracing::error!(%error, "a data key is damaged, and what it sealed is lost");
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn load_first(&self, source: &MasterKeySource, bound: bool) -> Result<(), VaultError> {
        let failed = match self.provider.load().await {
            Ok(()) => return Ok(()),
            Err(failed) => failed,
        };
        match (source, failed.absent_file()) {
            (MasterKeySource::File(file), Some(_)) if !bound && !file.named => {
                RingFile::at(file.path.clone())
                    .create()
                    .map_err(ProviderError::from)?;
                Ok(self.provider.load().await?)
            }
            (_, Some(path)) if bound => Err(VaultError::WrongMasterKey(format!(
                "the store was made with a master key, and {} is not there: copy the file from where the store was \
                 first used, or from your backup of it",
                path.display()
            ))),
            _ => Err(failed.into()),
        }
    }

    /// Binds a new store to the first key. Where another process does so at the same time, one of them wins.
    async fn bind(&self) -> Result<DataKey, VaultError> {
        let key = DataKey::new(BINDING, entropy::bytes());
        let kids = self.provider.kids();
        let first = kids.first().ok_or(OpenError)?;
        self.store.bind(&self.provider.wrap(first, &key).await?).await?;
        self.unwrap(&self.binding().await?).await
    }

    /// The binding key as it is stored; its `kid` is the name of the active master key.
    pub(super) async fn binding(&self) -> Result<WrappedKey, VaultError> {
        Ok(self.store.data_key(&BINDING).await?.ok_or(OpenError)?)
    }

    /// The provider of the keys.
    pub(super) fn provider(&self) -> &dyn KeyProvider {
        &*self.provider
    }

    /// Unwraps a data key. A master key that is not known is asked for.
    pub(super) async fn unwrap(&self, stored: &WrappedKey) -> Result<DataKey, VaultError> {
        let mut unwrapped = self.provider.unwrap(stored).await;
        if matches!(&unwrapped, Err(error) if error.is_unknown_key()) {
            self.ask_for(&stored.kid).await?;
            unwrapped = self.provider.unwrap(stored).await;
        }
        unwrapped.map_err(|error| VaultError::of_master_keys(self.provider(), error))
    }

    /// Wraps a data key by the master key of this name. One that is not known is asked for.
    pub(super) async fn wrap(&self, kid: &str, key: &DataKey) -> Result<WrappedKey, VaultError> {
        let mut wrapped = self.provider.wrap(kid, key).await;
        if matches!(&wrapped, Err(error) if error.is_unknown_key()) {
            self.ask_for(kid).await?;
            wrapped = self.provider.wrap(kid, key).await;
        }
        wrapped.map_err(|error| VaultError::of_master_keys(self.provider(), error))
    }

    /// Stores a new data key, wrapped by the master key that is active when it is stored.
    pub(super) async fn store_new(&self, key_use: &KeyUse, key: &DataKey) -> Result<(), VaultError> {
        for _ in 0..TRIES {
            let active = self.binding().await?.kid;
            let wrapped = self.wrap(&active, key).await?;
            if self.store.add_data_key(key_use, &wrapped).await? {
                return Ok(());
            }
        }
        let again = "the master key is rotated again and again".to_owned();
        Err(StoreError::Again(again).into())
    }

    /// Has the provider learn its keys anew for the sake of this one, unless somebody has just done so.
    async fn ask_for(&self, kid: &str) -> Result<(), VaultError> {
        let is_known = || self.provider.kids().iter().any(|known| known == kid);
        let mut in_vain = self.in_vain.lock().await;
        let is_hopeless = in_vain
            .get(kid)
            .is_some_and(|asked| asked.elapsed() < BETWEEN_LOADS);
        if is_known() || is_hopeless {
            return Ok(());
        }
        let loaded = self.provider.load().await;
        if is_known() {
            in_vain.remove(kid);
        } else {
            in_vain.insert(kid.to_owned(), Instant::now());
        }
        Ok(loaded?)
    }
}

impl VaultError {
    /// What is wrong with the master keys of a provider, and what to do about it.
    pub(super) fn of_master_keys(provider: &dyn KeyProvider, error: ProviderError) -> Self {
        let ProviderError::Use { kid, why } = error else {
            return error.into();
        };
        let source = provider.source();
        let refusal = format!("the master key in {source} does not open this store");
        match why {
            UnwrapError::NoKey => Self::WrongMasterKey(format!(
                "{refusal}: there is no key named {kid} in it, by which keys of the store are wrapped; put its line back \
                 from another node or from a copy of the keys"
            )),
            _ => Self::Damaged(format!(
                "{refusal}: its key named {kid} is another one, or the data key is damaged; use the keys with which the \
                 store was made"
            )),
        }
    }
}

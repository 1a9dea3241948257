//! Master keys that are held in memory, whatever text they come from: see [`MasterKeys`] for its form.

use std::sync::{Arc, PoisonError, RwLock};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use sendpromptly_core::envelope::DataKey;
use sendpromptly_core::master_keys::{MasterKeys, UnwrapError};

use super::provider::{KeyProvider, ProviderError};
use crate::platform::entropy;
use crate::store::data_keys::WrappedKey;

/// Where the text of a ring comes from. It may block.
pub trait RingText: std::fmt::Debug + Send + Sync + 'static {
    /// The same in words for messages.
    fn source(&self) -> String;

    /// Reads the ring.
    ///
    /// # Errors
    /// [`ProviderError`] where it cannot be had.
    fn read(&self) -> Result<MasterKeys, ProviderError>;

    /// Whether it is this program's to change.
    fn is_ours_to_change(&self) -> bool {
        false
    }

    /// Puts a new key first, unless the first one is another than `active` already; gives the ring as it is then.
    ///
    /// # Errors
    /// [`ProviderError::ReadOnly`] where it is for others to do.
    fn add_after(&self, active: &str) -> Result<MasterKeys, ProviderError> {
        let keys = self.read()?;
        if keys.first() == active {
            return Err(ProviderError::ReadOnly(self.source()));
        }
        Ok(keys)
    }

    /// Takes a key out; gives the ring as it is then.
    ///
    /// # Errors
    /// [`ProviderError::ReadOnly`] where it is for others to do.
    fn take_out(&self, _kid: &str) -> Result<MasterKeys, ProviderError> {
        Err(ProviderError::ReadOnly(self.source()))
    }
}

/// The keys of a text, held in memory since they were last read.
#[derive(Debug)]
pub struct KeyRing<T> {
    text: Arc<T>,
    keys: RwLock<Option<Arc<MasterKeys>>>,
}

impl<T: RingText> KeyRing<T> {
    /// A ring that is not read yet.
    #[must_use]
    pub fn new(text: T) -> Self {
        Self {
            text: Arc::new(text),
            keys: RwLock::default(),
        }
    }

    /// Has a thread that may block do something with the text, and holds what it gives.
    async fn hold(
        &self,
        of: impl FnOnce(&T) -> Result<MasterKeys, ProviderError> + Send + 'static,
    ) -> Result<Arc<MasterKeys>, ProviderError> {
        let text = self.text.clone();
        let read = tokio::task::spawn_blocking(move || of(&text)).await;
        let keys = Arc::new(read.map_err(|error| ProviderError::CutOff(error.to_string()))??);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(keys.clone());
        Ok(keys)
    }

    fn held(&self) -> Option<Arc<MasterKeys>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn with<R>(
        &self,
        kid: &str,
        work: impl FnOnce(&MasterKeys) -> Result<R, UnwrapError>,
    ) -> Result<R, ProviderError> {
        let done = self.held().map_or(Err(UnwrapError::NoKey), |keys| work(&keys));
        done.map_err(|why| ProviderError::Use {
            kid: kid.to_owned(),
            why,
        })
    }
}

impl<T: RingText> KeyProvider for KeyRing<T> {
    fn source(&self) -> String {
        self.text.source()
    }

    fn load(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        async {
            self.hold(RingText::read).await?;
            Ok(())
        }
        .boxed()
    }

    fn kids(&self) -> Vec<String> {
        let kids = |keys: Arc<MasterKeys>| keys.kids().map(str::to_owned).collect();
        self.held().map(kids).unwrap_or_default()
    }

    fn wrap<'a>(
        &'a self,
        kid: &'a str,
        key: &'a DataKey,
    ) -> BoxFuture<'a, Result<WrappedKey, ProviderError>> {
        let wrapped = self.with(kid, |keys| keys.wrap(kid, key, entropy::bytes()));
        let wrapped = wrapped.map(|wrapped| WrappedKey {
            id: *key.id(),
            kid: kid.to_owned(),
            wrapped,
        });
        ready(wrapped).boxed()
    }

    fn unwrap<'a>(&'a self, stored: &'a WrappedKey) -> BoxFuture<'a, Result<DataKey, ProviderError>> {
        let kid = stored.kid.as_str();
        ready(self.with(kid, |keys| keys.unwrap(kid, stored.id, &stored.wrapped))).boxed()
    }

    fn successor_of<'a>(&'a self, active: &'a str) -> BoxFuture<'a, Result<String, ProviderError>> {
        async {
            let active = active.to_owned();
            let keys = self.hold(move |text| text.add_after(&active)).await?;
            Ok(keys.first().to_owned())
        }
        .boxed()
    }

    fn is_ours_to_change(&self) -> bool {
        self.text.is_ours_to_change()
    }

    fn forget<'a>(&'a self, kid: &'a str) -> BoxFuture<'a, Result<(), ProviderError>> {
        async {
            let kid = kid.to_owned();
            self.hold(move |text| text.take_out(&kid)).await?;
            Ok(())
        }
        .boxed()
    }
}

/// Keys that were given by the environment or the configuration file: they are what they were at the start.
impl RingText for MasterKeys {
    fn source(&self) -> String {
        "`master-keys`".to_owned()
    }

    fn read(&self) -> Result<MasterKeys, ProviderError> {
        Ok(self.clone())
    }
}

//! Rotating the master key while servers run: a new key becomes active, then every data key is wrapped anew.
//!
//! Every step leaves a store that opens, so a rotation may be cut off anywhere, and goes on where it stopped:
//! when `rotate` is run again, or by itself where a server runs. Keys of data stay what they are, so nothing
//! that was sealed is touched.

use sendpromptly_core::audit::{Action, Draft, INSTANCE, Origin};
use sendpromptly_core::time::Timestamp;

use super::provider::ProviderError;
use super::{Vault, VaultError};
use crate::store::audit::drafts_of;
use crate::store::master_keys::{DataKeyPlace, Removal, UnderActive};

#[cfg(test)]
mod tests;

/// Data keys that are wrapped anew in one transaction: few enough that nobody waits long for it.
const BATCH: usize = 100;

/// What a rotation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The key that is active.
    pub kid: String,
    /// The one that it took the place of; none where an earlier rotation was brought to its end.
    pub previous: Option<String>,
    /// How many data keys were wrapped anew.
    pub rewrapped: u64,
    /// How many are damaged, and stay as they are.
    pub damaged: u64,
}

/// What wrapping data keys anew came to.
#[derive(Debug, Default)]
struct Rewrapped {
    changed: u64,
    damaged: u64,
}

/// A batch of data keys that was looked at, and the place of its last one; none where there was no key more.
#[derive(Debug)]
struct Batch {
    rewrapped: Rewrapped,
    last: Option<DataKeyPlace>,
}

/// Why a master key is not rotated or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// The vault cannot do it.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The keys are changed by somebody else, and no new one stands first.
    #[error(
        "{0} cannot be changed by this program: put the line of a new key, as `sendpromptly master-key generate` makes \
         it, before the others there, and run this again"
    )]
    AddYourself(String),
    /// The keys are changed by somebody else.
    #[error(
        "{place} cannot be changed by this program: {kid} wraps nothing any more, take its line out there"
    )]
    RemoveYourself {
        /// Where they come from.
        place: String,
        /// The key.
        kid: String,
    },
    /// Another rotation came between.
    #[error("another rotation made {0} active meanwhile; `sendpromptly master-key list` shows what there is")]
    Meanwhile(String),
    /// The active key is not removed.
    #[error("{0} is the active master key; `sendpromptly master-key rotate` puts another one in its place")]
    Active(String),
    /// A key that wraps data keys is not removed.
    #[error(
        "{kid} still wraps {wraps} data keys; `sendpromptly master-key rotate` wraps anew those that are not damaged"
    )]
    Wraps {
        /// The key.
        kid: String,
        /// How many.
        wraps: u64,
    },
    /// There is no such key.
    #[error("there is no master key {0}; `sendpromptly master-key list` shows those that there are")]
    NoKey(String),
}

impl Vault {
    /// Makes the key that the next rotation makes active, unless there is one already; gives its name.
    ///
    /// # Errors
    /// [`RotationError`] where the keys are not this program's to change.
    pub async fn prepare_rotation(&self) -> Result<String, RotationError> {
        let active = self.active_master_key().await?;
        let prepared = self.keys.ring().provider().successor_of(&active).await;
        prepared.map_err(|error| match error {
            ProviderError::ReadOnly(source) => RotationError::AddYourself(source),
            error => VaultError::from(error).into(),
        })
    }

    /// Makes a new key active and wraps every data key by it. A rotation that was cut off is brought to its end
    /// first, in place of a new one.
    ///
    /// # Errors
    /// [`RotationError`]; what was done until then stays.
    pub async fn rotate(&self, origin: &Origin, now: Timestamp) -> Result<Rotated, RotationError> {
        let before = self.active_master_key().await?;
        let earlier = self.rewrap_all(&before).await?;
        if earlier.changed > 0 {
            return Ok(Rotated {
                kid: before,
                previous: None,
                rewrapped: earlier.changed,
                damaged: earlier.damaged,
            });
        }
        let kid = self.prepare_rotation().await?;
        self.activate(&before, &kid, origin, now).await?;
        let rewrapped = self.rewrap_all(&kid).await?;
        Ok(Rotated {
            kid,
            previous: Some(before),
            rewrapped: rewrapped.changed,
            damaged: rewrapped.damaged,
        })
    }

    /// Makes a key active, which must be known to every node by then.
    async fn activate(
        &self,
        before: &str,
        kid: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), RotationError> {
        let ring = self.keys.ring();
        let binding = ring.wrap(kid, self.keys.binding()).await?;
        let draft = Draft::new(origin, Action::MasterKeyRotated, kid, &[("previous", before)]);
        let drafts = drafts_of(INSTANCE, now, vec![draft]);
        let activated = self.store.activate(before, &binding, &drafts).await;
        match activated.map_err(VaultError::from)? {
            UnderActive::Done(()) => Ok(()),
            UnderActive::Moved => match self.active_master_key().await? {
                // Another process was asked for the same.
                active if active == kid => Ok(()),
                active => Err(RotationError::Meanwhile(active)),
            },
        }
    }

    async fn rewrap_all(&self, active: &str) -> Result<Rewrapped, RotationError> {
        let (mut all, mut place) = (Rewrapped::default(), DataKeyPlace::default());
        loop {
            match self.rewrap_some(active, &place, BATCH).await? {
                UnderActive::Done(batch) => {
                    all.changed += batch.rewrapped.changed;
                    all.damaged += batch.rewrapped.damaged;
                    match batch.last {
                        Some(last) => place = last,
                        None => return Ok(all),
                    }
                }
                UnderActive::Moved => {
                    return Err(RotationError::Meanwhile(self.active_master_key().await?));
                }
            }
        }
    }

    /// Wraps data keys behind this place anew by the active key, at most so many. Those that are damaged stay.
    async fn rewrap_some(
        &self,
        active: &str,
        behind: &DataKeyPlace,
        limit: usize,
    ) -> Result<UnderActive<Batch>, VaultError> {
        let ring = self.keys.ring();
        let found = self.store.data_keys_beside(active, behind, limit).await?;
        let last = found.last().map(DataKeyPlace::from);
        let (mut rewrapped, mut damaged) = (Vec::new(), 0);
        for stored in found {
            match ring.unwrap(&stored).await {
                Ok(key) => rewrapped.push((stored.kid, ring.wrap(active, &key).await?)),
                Err(VaultError::Damaged(_)) => damaged += 1,
                Err(error) => return Err(error),
            }
        }
        let changed = if rewrapped.is_empty() {
            0
        } else {
            match self.store.put_rewrapped(active, &rewrapped).await? {
                UnderActive::Done(changed) => changed,
                UnderActive::Moved => return Ok(UnderActive::Moved),
            }
        };
        let rewrapped = Rewrapped { changed, damaged };
        Ok(UnderActive::Done(Batch { rewrapped, last }))
    }

    /// Sees to it that this node knows the active key, and goes on with a rotation that somebody began: one batch
    /// of data keys behind this place. Gives the place to go on from, where there may be more.
    ///
    /// # Errors
    /// [`VaultError`] where this node lacks a key.
    pub async fn keep_up_with_rotations(
        &self,
        behind: &DataKeyPlace,
    ) -> Result<Option<DataKeyPlace>, VaultError> {
        let binding = self.keys.ring().binding().await?;
        self.keys.ring().unwrap(&binding).await?;
        Ok(match self.rewrap_some(&binding.kid, behind, BATCH).await? {
            UnderActive::Done(batch) => batch.last,
            UnderActive::Moved => Some(DataKeyPlace::default()),
        })
    }

    /// Reads the master keys again. Where they cannot be had, those known so far stay.
    ///
    /// # Errors
    /// [`VaultError::Provider`] where they cannot be had.
    pub async fn reload_master_keys(&self) -> Result<Vec<String>, VaultError> {
        let provider = self.keys.ring().provider();
        provider.load().await?;
        Ok(provider.kids())
    }

    /// Removes a master key that wraps nothing any more.
    ///
    /// # Errors
    /// [`RotationError`] where it is active, wraps something, or is not this program's to remove.
    pub async fn remove_master_key(
        &self,
        kid: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), RotationError> {
        let provider = self.keys.ring().provider();
        if !provider.kids().iter().any(|known| known == kid) {
            return Err(RotationError::NoKey(kid.to_owned()));
        }
        // A node that is rotating may have been given it, and be about to make it active.
        provider.load().await.map_err(VaultError::from)?;
        let is_first = provider.kids().first().is_some_and(|first| first == kid);
        if is_first && self.active_master_key().await? != kid {
            return Err(VaultError::from(ProviderError::First(kid.to_owned())).into());
        }
        let draft = Draft::new(origin, Action::MasterKeyRemoved, kid, &[]);
        let told = provider.is_ours_to_change().then_some(draft);
        let drafts = drafts_of(INSTANCE, now, told.into_iter().collect());
        let noted = self.store.note_removal(kid, &drafts).await;
        match noted.map_err(VaultError::from)? {
            Removal::Free => {}
            Removal::Active => return Err(RotationError::Active(kid.to_owned())),
            Removal::Wraps(wraps) => {
                let kid = kid.to_owned();
                return Err(RotationError::Wraps { kid, wraps });
            }
        }
        if !provider.is_ours_to_change() {
            return Err(RotationError::RemoveYourself {
                place: provider.source(),
                kid: kid.to_owned(),
            });
        }
        Ok(provider.forget(kid).await.map_err(VaultError::from)?)
    }

    async fn active_master_key(&self) -> Result<String, VaultError> {
        Ok(self.keys.ring().binding().await?.kid)
    }
}

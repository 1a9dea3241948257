//! Keeps this node in step with the master keys: it learns which one is active, and goes on with a rotation that
//! was cut off. A node that lacks a key of the store is not ready.

use std::time::Duration;

use sendpromptly_core::time::Timestamp;

use super::rounds::{Left, Rounds};
use crate::store::StoreError;
use crate::store::master_keys::DataKeyPlace;
use crate::vault::{Vault, VaultError};

const EVERY: Duration = Duration::from_secs(10);

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct MasterKeys {
    vault: Vault,
    /// Up to where the data keys were looked at.
    behind: DataKeyPlace,
}

impl MasterKeys {
    pub(super) fn new(vault: Vault) -> Self {
        let behind = DataKeyPlace::default();
        Self { vault, behind }
    }
}

impl Rounds for MasterKeys {
    const NAME: &'static str = "master_keys";

    fn interval(&self) -> Duration {
        EVERY
    }

    async fn round(&mut self, _now: Timestamp) -> Result<Left, StoreError> {
        match self.vault.keep_up_with_rotations(&self.behind).await {
            Ok(Some(place)) => {
                self.behind = place;
                Ok(Left::More)
            }
            Ok(None) => {
                self.behind = DataKeyPlace::default();
                Ok(Left::Nothing)
            }
            Err(VaultError::Store(error)) => Err(error),
            // A key that is not here yet is waited for as the store is.
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        }
    }
}

//! Signs a checkpoint of every audit chain that has grown, at least hourly.

use std::sync::Arc;
use std::time::Duration;

use sendpromptly_core::time::Timestamp;

use super::rounds::{Left, Rounds};
use crate::checkpoints::Checkpoints;
use crate::store::{Store, StoreError};

const EVERY: Duration = Duration::from_secs(60 * 60);

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct Checkpoint {
    pub(super) store: Store,
    pub(super) checkpoints: Arc<Checkpoints>,
}

impl Rounds for Checkpoint {
    const NAME: &'static str = "checkpoint";

    fn interval(&self) -> Duration {
        EVERY
    }

    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        let appended = self.checkpoints.append_due(&self.store, now).await;
        // A file that cannot be written is waited for as the store is.
        appended.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Left::Nothing)
    }
}

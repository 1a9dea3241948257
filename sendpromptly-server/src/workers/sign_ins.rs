//! Tells of the failed sign-ins of each minute that are too many to be told one by one.

use std::time::Duration;

use sendpromptly_core::time::Timestamp;

use super::rounds::{Left, Rounds};
use crate::store::{Store, StoreError};

const EVERY: Duration = Duration::from_secs(60);

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct SignIns {
    pub(super) store: Store,
}

impl Rounds for SignIns {
    const NAME: &'static str = "sign_ins";

    fn interval(&self) -> Duration {
        EVERY
    }

    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        let more = self.store.tell_failed_sign_ins(now).await?;
        Ok(if more { Left::More } else { Left::Nothing })
    }
}

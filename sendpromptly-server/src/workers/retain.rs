//! Drops what is kept for a time only: answers under idempotency keys, and the first bytes of endpoints'
//! answers.

use std::time::Duration;

use sendpromptly_core::time::Timestamp;

use super::rounds::{Left, Rounds};
use crate::store::attempts::ANSWERS_KEPT;
use crate::store::{Store, StoreError};

const EVERY: Duration = Duration::from_secs(60 * 60);

/// Rows in one transaction: few enough that no receipt waits long for it.
const BATCH: u32 = 1_000;

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct Retain {
    pub(super) store: Store,
}

impl Rounds for Retain {
    const NAME: &'static str = "retain";

    fn interval(&self) -> Duration {
        EVERY
    }

    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        drop_old(&self.store, now).await
    }
}

/// Drops one batch of each kind.
pub(super) async fn drop_old(store: &Store, now: Timestamp) -> Result<Left, StoreError> {
    let kept = i64::try_from(ANSWERS_KEPT.as_millis()).unwrap_or(i64::MAX);
    let keys = store.forget_answers(now, BATCH).await?;
    let heads = store.forget_answer_heads(now.plus_millis(-kept), BATCH).await?;
    Ok(if keys.max(heads) < u64::from(BATCH) {
        Left::Nothing
    } else {
        Left::More
    })
}

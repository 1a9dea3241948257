//! Finds delivered replays whose result has not come in time, and opens their incidents again.

use std::time::Duration;

use sendpromptly_core::audit::Origin;
use sendpromptly_core::time::Timestamp;

use super::rounds::{Left, Rounds};
use crate::store::cases::CaseChanges;
use crate::store::{Store, StoreError};

/// Replays in one transaction.
const BATCH: u32 = 256;

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) store: Store,
    pub(super) interval: Duration,
}

impl Rounds for Answers {
    const NAME: &'static str = "answers";

    fn interval(&self) -> Duration {
        self.interval
    }

    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        end_unanswered(&self.store, now).await
    }
}

/// Ends one batch of the replays that are overdue.
pub(super) async fn end_unanswered(store: &Store, now: Timestamp) -> Result<Left, StoreError> {
    if !store.has_overdue_answers(now).await? {
        return Ok(Left::Nothing);
    }
    let origin = Origin::system(Answers::NAME);
    let tx = store.begin().await?;
    let overdue = store.lock_overdue_answers(&tx, now, BATCH).await?;
    let mut changes = CaseChanges::default();
    for (stored, organization) in &overdue {
        let decision = stored.case.clone().miss_answer(&origin, now);
        changes.take(stored, *organization, decision, now);
    }
    store.write_cases(&tx, &changes.into_vec(), Vec::new()).await?;
    tx.commit().await?;
    Ok(Left::after(overdue.len(), BATCH))
}

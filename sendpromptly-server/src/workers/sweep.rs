//! Finds events whose result has not come in time, and opens their incidents.

use std::time::Duration;

use sendpromptly_core::audit::Origin;
use sendpromptly_core::id::IncidentId;
use sendpromptly_core::time::Timestamp;

use super::rounds::{Left, Rounds};
use crate::platform::entropy;
use crate::store::cases::CaseChanges;
use crate::store::{Store, StoreError};

#[cfg(test)]
mod tests;

/// Events in one transaction.
pub(super) const BATCH: u32 = 256;

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct Sweep {
    pub(super) store: Store,
    pub(super) interval: Duration,
}

impl Rounds for Sweep {
    const NAME: &'static str = "sweep";

    fn interval(&self) -> Duration {
        self.interval
    }

    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        sweep(&self.store, now).await
    }
}

/// Opens the incidents of one batch of events that are overdue.
pub(super) async fn sweep(store: &Store, now: Timestamp) -> Result<Left, StoreError> {
    if !store.has_overdue_events(now).await? {
        return Ok(Left::Nothing);
    }
    let origin = Origin::system(Sweep::NAME);
    let tx = store.begin().await?;
    let overdue = store.lock_overdue_events(&tx, now, BATCH).await?;
    let mut changes = CaseChanges::default();
    for (stored, organization) in &overdue {
        let incident = IncidentId::new(now, entropy::bytes());
        let decision = stored.case.clone().time_out(incident, &origin, now);
        changes.take(stored, *organization, decision, now);
    }
    store.write_cases(&tx, &changes.into_vec(), Vec::new()).await?;
    tx.commit().await?;
    Ok(Left::after(overdue.len(), BATCH))
}

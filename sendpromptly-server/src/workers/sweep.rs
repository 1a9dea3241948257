//! Finds events whose result has not come in time, and opens their incidents.

use std::time::Duration;

use sendpromptly_core::audit::Origin;
use sendpromptly_core::id::IncidentId;
use sendpromptly_core::time::Timestamp;

use super::overdue;
use super::rounds::{Left, Rounds};
use crate::platform::entropy;
use crate::store::{Store, StoreError};

#[cfg(test)]
mod tests;

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
    let origin = Origin::system(Sweep::NAME);
    let due = store.overdue_events(now, overdue::BATCH).await?;
    overdue::settle(store, due, now, |case| {
        let incident = IncidentId::new(now, entropy::for_id());
        case.time_out(incident, &origin, now)
    })
    .await
}

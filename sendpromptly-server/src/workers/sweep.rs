//! Finds events whose result has not come in time, and opens their incidents.

use std::sync::Arc;
use std::time::Duration;

use sendpromptly_core::audit::Origin;
use sendpromptly_core::id::IncidentId;
use sendpromptly_core::replay::RetrySchedule;
use sendpromptly_core::time::Timestamp;

use super::overdue::{self, Overdue, Pass};
use super::rounds::{Left, Rounds};
use crate::platform::entropy;
use crate::store::{Store, StoreError};

#[cfg(test)]
mod tests;

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct Sweep {
    pub(super) store: Store,
    /// When the attempts are made of what projects let it order.
    pub(super) schedule: Arc<RetrySchedule>,
    pub(super) interval: Duration,
    pub(super) pass: Pass,
}

impl Rounds for Sweep {
    const NAME: &'static str = "sweep";

    fn interval(&self) -> Duration {
        self.interval
    }

    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        sweep(&self.store, &self.schedule, &mut self.pass, now).await
    }
}

/// Opens the incidents of the next batch of events that are overdue, and orders what projects let it order.
pub(super) async fn sweep(
    store: &Store,
    schedule: &RetrySchedule,
    pass: &mut Pass,
    now: Timestamp,
) -> Result<Left, StoreError> {
    let origin = Origin::system(Sweep::NAME);
    let due = store.overdue_events(now, pass.after, overdue::BATCH).await?;
    let overdue = Overdue {
        store,
        origin: &origin,
        follows: Some(schedule),
        now,
    };
    overdue
        .settle(due, pass, |case| {
            let incident = IncidentId::new(now, entropy::for_id());
            case.time_out(incident, &origin, now)
        })
        .await
}

//! Looks at what waits in the store and notes it for whoever asks for the metrics, so that no scrape costs the store
//! anything.

use std::time::{Duration, Instant};

use sendpromptly_core::time::Timestamp;

use super::rounds::{Left, Rounds};
use crate::metrics::BacklogMetrics;
use crate::store::{Store, StoreError};

/// As often as Prometheus asks by default.
const EVERY: Duration = Duration::from_secs(15);

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    pub(super) store: Store,
    pub(super) metrics: BacklogMetrics,
}

impl Rounds for Watch {
    const NAME: &'static str = "watch";

    fn interval(&self) -> Duration {
        EVERY
    }

    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        let start = Instant::now();
        let backlog = self.store.backlog().await?;
        self.metrics.found(&backlog, now, start.elapsed());
        Ok(Left::Nothing)
    }
}

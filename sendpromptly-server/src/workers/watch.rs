//! Looks at what waits in the store and notes it for whoever asks for the metrics, so that no scrape costs the store
//! anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sendpromptly_core::time::Timestamp;

use super::rounds::{Left, Rounds};
use crate::metrics::Metrics;
use crate::store::{Store, StoreError};

/// As often as Prometheus asks by default.
const EVERY: Duration = Duration::from_secs(15);

/// Organizations are counted one by one, and change seldom.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    store: Store,
    metrics: Arc<Metrics>,
    count_at: Instant,
}

impl Watch {
    pub(super) fn new(store: Store, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            metrics,
            count_at: Instant::now(),
        }
    }
}

impl Rounds for Watch {
    const NAME: &'static str = "watch";

    fn interval(&self) -> Duration {
        EVERY
    }

    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        let start = Instant::now();
        let backlog = self.store.backlog().await?;
        let took = start.elapsed();
        if start >= self.count_at {
            self.metrics.stripe.found(&self.store.billing_counts().await?);
            self.count_at = start + COUNT_EVERY;
        }
        self.metrics.backlog.found(&backlog, now, took);
        Ok(Left::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::super::beat::Pulse;
    use super::super::{Health, Skew, Sweep};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_whose_figures_are_old_is_ready_all_the_same() {
        let pulses = [Watch::NAME, Sweep::NAME].map(|name| (name, Pulse::new()));
        let health = Health {
            pulses: pulses.to_vec(),
            skew: Skew::default(),
        };
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(health.stalled(), [Sweep::NAME]);
        assert!(
            health.of_each().all(|(_, _, in_trouble)| in_trouble),
            "an alarm tells"
        );
    }
}

//! Drops what is kept for a time only, by the passes of [`retention`].

use std::mem;
use std::time::Duration;

use sendpromptly_core::time::Timestamp;

use super::rounds::{Left, Rounds};
use crate::metrics::RetentionMetrics;
use crate::retention::{self, Keeper, Pass};
use crate::store::StoreError;

const EVERY: Duration = Duration::from_secs(60 * 60);

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct Retain {
    keeper: Keeper,
    metrics: RetentionMetrics,
    /// The passes that have more to do.
    left: Vec<Pass>,
}

impl Retain {
    pub(super) const fn new(keeper: Keeper, metrics: RetentionMetrics) -> Self {
        Self {
            keeper,
            metrics,
            left: Vec::new(),
        }
    }
}

impl Rounds for Retain {
    const NAME: &'static str = "retain";

    fn interval(&self) -> Duration {
        EVERY
    }

    /// Runs one batch of each pass that has more to do, so that a long one holds up none of the others. Nor does
    /// one that fails.
    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        if self.left.is_empty() {
            self.left.extend_from_slice(retention::PASSES);
        }
        let mut failure = None;
        for pass in mem::take(&mut self.left) {
            match pass.run(&self.keeper, now, retention::BATCH).await {
                Ok(batch) => {
                    self.metrics.dropped(pass.name(), batch.rows);
                    if batch.more {
                        self.left.push(pass);
                    }
                }
                Err(error) => {
                    self.left.push(pass);
                    failure = failure.or(Some(error));
                }
            }
        }
        match failure {
            Some(error) => Err(error),
            None if self.left.is_empty() => {
                self.metrics.is_up_to_date(now);
                Ok(Left::Nothing)
            }
            None => Ok(Left::More),
        }
    }
}

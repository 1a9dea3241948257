//! Drops what is kept for a time only, by the passes of [`retention`].

use std::mem;
use std::time::Duration;

use sendpromptly_core::time::Timestamp;
use tokio::time::Instant;

use super::rounds::{Left, Rounds};
use crate::metrics::RetentionMetrics;
use crate::retention::pace::Pace;
use crate::retention::{self, Keeper, Pass};
use crate::store::StoreError;

const EVERY: Duration = Duration::from_secs(60 * 60);

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct Retain {
    keeper: Keeper,
    metrics: RetentionMetrics,
    /// The passes that have more to do.
    left: Vec<(Pass, Pace)>,
    /// Whether all of them are through, and the space is to be given back.
    is_through: bool,
}

impl Retain {
    pub(super) const fn new(keeper: Keeper, metrics: RetentionMetrics) -> Self {
        Self {
            keeper,
            metrics,
            left: Vec::new(),
            is_through: false,
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
        if self.is_through {
            return self.give_space_back().await;
        }
        if self.left.is_empty() {
            let passes = retention::PASSES.iter();
            self.left.extend(passes.map(|pass| (*pass, Pace::default())));
        }
        let mut failure = None;
        for (pass, mut pace) in mem::take(&mut self.left) {
            let begin = Instant::now();
            match pass.run(&self.keeper, now, pace.limit()).await {
                Ok(batch) => {
                    self.metrics.dropped(pass.name(), batch.rows);
                    if batch.more {
                        tokio::time::sleep(pace.rest_after(begin.elapsed())).await;
                        self.left.push((pass, pace));
                    }
                }
                Err(error) => {
                    self.left.push((pass, pace));
                    failure = failure.or(Some(error));
                }
            }
        }
        if self.left.is_empty() {
            self.is_through = true;
            self.metrics.is_up_to_date(now);
        }
        failure.map_or(Ok(Left::More), Err)
    }
}

impl Retain {
    async fn give_space_back(&mut self) -> Result<Left, StoreError> {
        let begin = Instant::now();
        self.is_through = self.keeper.store.give_space_back(retention::PAGES).await?;
        if !self.is_through {
            return Ok(Left::Nothing);
        }
        tokio::time::sleep(Pace::default().rest_after(begin.elapsed())).await;
        Ok(Left::More)
    }
}

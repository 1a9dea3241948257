//! Drops what is kept for a time only, by the passes of [`retention`].

use std::mem;
use std::time::Duration;

use sendpromptly_core::time::Timestamp;
use tokio::time::Instant;

use super::rounds::{Left, Rounds};
use crate::metrics::RetentionMetrics;
use crate::retention::pace::Pace;
use crate::retention::{self, Keeper, Pass, guard};
use crate::store::StoreError;

#[cfg(test)]
mod tests;

const EVERY: Duration = Duration::from_secs(60 * 60);

/// How soon a clock that was in doubt is looked at again.
const IN_DOUBT: Duration = Duration::from_secs(60);

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct Retain {
    keeper: Keeper,
    metrics: RetentionMetrics,
    passes: &'static [Pass],
    /// When all of them last began.
    began: Option<Timestamp>,
    /// The passes that have more to do.
    left: Vec<(Pass, Pace)>,
    /// Whether space is to be given back.
    is_space_due: bool,
    /// Whether the clock was in doubt, so that nothing was dropped.
    is_in_doubt: bool,
}

impl Retain {
    pub(super) const fn new(keeper: Keeper, metrics: RetentionMetrics) -> Self {
        Self {
            keeper,
            metrics,
            passes: retention::PASSES,
            began: None,
            left: Vec::new(),
            is_space_due: false,
            is_in_doubt: false,
        }
    }
}

impl Rounds for Retain {
    const NAME: &'static str = "retain";

    fn interval(&self) -> Duration {
        if self.is_in_doubt { IN_DOUBT } else { EVERY }
    }

    /// Runs one batch of each pass that has more to do, so that a long one holds up none of the others. Nor does
    /// one that fails.
    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        let doubt = guard::doubt(&self.keeper.store, now).await?;
        self.is_in_doubt = doubt.is_some();
        if let Some(doubt) = doubt {
            tracing::error!("nothing is dropped: {doubt}");
            return Ok(Left::Nothing);
        }
        if self.left.is_empty() && self.is_space_due {
            return self.give_space_back().await;
        }
        if self.left.is_empty() || self.is_due(now) {
            self.begin(now).await?;
        }
        let ran = self.run_each(now).await;
        let ran = ran.and(self.keeper.store.write_log_back().await);
        if self.left.is_empty() {
            self.is_space_due = true;
            self.metrics.is_up_to_date(now);
        } else if self.is_space_due {
            self.give_space_back().await?;
        }
        ran.map(|()| Left::More)
    }
}

impl Retain {
    /// Whether the passes that are through should look again, whatever the others do. A clock that was put back
    /// tells nothing.
    fn is_due(&self, now: Timestamp) -> bool {
        self.began
            .is_none_or(|began| now < began || now.since(began) >= EVERY)
    }

    /// Adds every pass that is through. What the others have freed by then is given back meanwhile.
    async fn begin(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.keeper.store.note_retained(now).await?;
        self.is_space_due = !self.left.is_empty();
        for pass in self.passes {
            if self.left.iter().all(|(left, _)| left.name() != pass.name()) {
                self.left.push((*pass, Pace::default()));
            }
        }
        self.began = Some(now);
        Ok(())
    }

    /// Runs a batch of each; the first failure is told once all had their turn.
    async fn run_each(&mut self, now: Timestamp) -> Result<(), StoreError> {
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
        failure.map_or(Ok(()), Err)
    }

    async fn give_space_back(&mut self) -> Result<Left, StoreError> {
        let begin = Instant::now();
        self.is_space_due = self.keeper.store.give_space_back(retention::PAGES).await?;
        if !self.is_space_due {
            return Ok(Left::Nothing);
        }
        tokio::time::sleep(Pace::default().rest_after(begin.elapsed())).await;
        Ok(Left::More)
    }
}

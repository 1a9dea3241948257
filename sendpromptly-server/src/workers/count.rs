//! Counts what happened in each hour, once, for the overview.
//!
//! It goes up to two minutes ago: what happened before that is committed, whichever node took it. It reads outside
//! the transaction that writes, so it holds up nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use sendpromptly_core::time::{HOUR_MS, MINUTE_MS, Timestamp};

use super::rounds::{Left, Rounds};
use crate::store::hours::{self, Stretch};
use crate::store::{Store, StoreError};

#[cfg(test)]
mod tests;

const EVERY: Duration = Duration::from_secs(60);

/// How long after it was stamped something is surely committed, and how far the clocks of nodes may be apart.
const SETTLED_MS: i64 = 2 * MINUTE_MS;

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct Count {
    pub(super) store: Store,
}

impl Rounds for Count {
    const NAME: &'static str = "count";

    fn interval(&self) -> Duration {
        EVERY
    }

    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        self.count(now).await
    }
}

impl Count {
    /// Counts what there is to count in one hour at most.
    async fn count(&self, now: Timestamp) -> Result<Left, StoreError> {
        let counted = self.store.counted_until().await?;
        let oldest = now.plus_millis(-hours::KEPT_MS);
        let settled = now.plus_millis(-SETTLED_MS);
        let from = counted.map_or(oldest, |counted| counted.max(oldest));
        if from >= settled {
            return Ok(Left::Nothing);
        }
        match self.store.first_to_count(from).await? {
            Some(first) if first < settled => self.count_hour(counted, from.max(first), settled).await,
            _ => self.pass_over(counted, settled).await,
        }
    }

    async fn count_hour(
        &self,
        counted: Option<Timestamp>,
        from: Timestamp,
        settled: Timestamp,
    ) -> Result<Left, StoreError> {
        let next_hour = hours::hour_of(from).plus_millis(HOUR_MS);
        let to = next_hour.min(settled);
        let stretch = Stretch { from, to };
        let figures = self.store.figures_of(stretch).await?;
        self.store.add_to_hours(counted, stretch, &figures).await?;
        Ok(if to < settled { Left::More } else { Left::Nothing })
    }

    /// Where nothing happened, the point is moved once an hour only: an idle server need not write each minute.
    async fn pass_over(&self, counted: Option<Timestamp>, settled: Timestamp) -> Result<Left, StoreError> {
        let hour = hours::hour_of(settled);
        if counted.is_none_or(|counted| counted < hour) {
            let nothing = Stretch {
                from: hour,
                to: settled,
            };
            self.store
                .add_to_hours(counted, nothing, &BTreeMap::new())
                .await?;
        }
        Ok(Left::Nothing)
    }
}

/// Counts all there is to count at this time.
#[cfg(test)]
pub(super) async fn count_all(store: &Store, now: Timestamp) {
    let worker = Count { store: store.clone() };
    while worker.count(now).await.unwrap() == Left::More {}
}

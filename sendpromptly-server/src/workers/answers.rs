//! Finds delivered replays whose result has not come in time, and opens their incidents again.

use std::time::Duration;

use sendpromptly_core::audit::Origin;
use sendpromptly_core::time::Timestamp;

use super::overdue::{self, Overdue, Pass};
use super::rounds::{Left, Rounds};
use crate::store::{Store, StoreError};

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) store: Store,
    pub(super) interval: Duration,
    pub(super) pass: Pass,
}

impl Rounds for Answers {
    const NAME: &'static str = "answers";

    fn interval(&self) -> Duration {
        self.interval
    }

    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        end_unanswered(&self.store, &mut self.pass, now).await
    }
}

/// Ends the next batch of the replays that are overdue.
pub(super) async fn end_unanswered(
    store: &Store,
    pass: &mut Pass,
    now: Timestamp,
) -> Result<Left, StoreError> {
    let origin = Origin::system(Answers::NAME);
    let due = store.overdue_answers(now, pass.after, overdue::BATCH).await?;
    let overdue = Overdue {
        store,
        origin: &origin,
        // What was delivered may have been applied: that is never repeated unasked.
        follows: None,
        now,
    };
    overdue
        .settle(due, pass, |case| case.miss_answer(&origin, now))
        .await
}

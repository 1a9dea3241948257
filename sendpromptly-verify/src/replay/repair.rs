//! A claimed repair, which is confirmed, released, or in doubt: there is no fourth way out.

use core::fmt;

use super::{Claimed, ReplayId, ReplayStore, StoreError};
use crate::answer::Answer;

/// How the effect went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It has been applied.
    Applied,
    /// It has certainly not been applied, and another attempt would not help: the incident opens again.
    Failed,
    /// It has certainly not been applied: the callback shall come again, by the schedule.
    NotApplied,
    /// Nobody knows: a time-out, a connection that broke after the request had gone.
    InDoubt,
}

/// The right to apply a repair, held by one call alone.
///
/// Dropped without [`finish`](Self::finish), by a panic, an early return or a future that is cancelled (most
/// frameworks cancel a handler when the caller hangs up), it leaves the repair in doubt.
#[must_use = "a repair that is dropped unfinished is in doubt"]
pub struct Repair<'s, S: ReplayStore> {
    store: &'s S,
    since: i64,
    claim: Option<S::Claim>,
}

impl<'s, S: ReplayStore> Repair<'s, S> {
    /// Claims a repair. `now` is in Unix seconds.
    ///
    /// # Errors
    /// The [`Answer`] to send where it is applied already, being applied, in doubt, or the store fails.
    pub fn begin(store: &'s S, id: ReplayId, now: i64) -> Result<Self, Answer> {
        match store.claim(id, now).map_err(Answer::StoreFailed)? {
            Claimed::Fresh(claim) => Ok(Self {
                store,
                since: now,
                claim: Some(claim),
            }),
            Claimed::Applied => Err(Answer::AlreadyApplied),
            Claimed::Running => Err(Answer::Running),
            Claimed::InDoubt { since } => Err(Answer::InDoubt { since }),
        }
    }

    /// Records how the effect went, and gives the answer to send.
    #[must_use]
    pub fn finish(mut self, outcome: Outcome) -> Answer {
        let Some(claim) = self.claim.take() else {
            unreachable!("the claim is taken here and on drop only")
        };
        let store = self.store;
        match outcome {
            Outcome::Applied => answer(store.confirm(claim), Answer::Applied),
            Outcome::Failed => answer(store.release(claim), Answer::Failed),
            Outcome::NotApplied => answer(store.release(claim), Answer::NotApplied),
            Outcome::InDoubt => {
                store.doubt(claim);
                Answer::InDoubt { since: self.since }
            }
        }
    }
}

fn answer(recorded: Result<(), StoreError>, answer: Answer) -> Answer {
    recorded.map_or_else(Answer::StoreFailed, |()| answer)
}

impl<S: ReplayStore> Drop for Repair<'_, S> {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.store.doubt(claim);
        }
    }
}

impl<S: ReplayStore> fmt::Debug for Repair<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repair")
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

//! Drops what is kept for a time only: answers under idempotency keys, the first bytes of endpoints' answers,
//! signing secrets and sessions that have ended, secrets of authenticators that were never confirmed, links and
//! sign-ups that have run out, guesses that are forgiven, browsers in which nobody has signed in for long, and
//! what projects held that were deleted.

use std::time::Duration;

use sendpromptly_core::time::Timestamp;

use super::rounds::{Left, Rounds};
use crate::store::attempts::ANSWERS_KEPT;
use crate::store::purge::Purged;
use crate::store::{Store, StoreError};
use crate::vault::Vault;

#[cfg(test)]
mod tests;

const EVERY: Duration = Duration::from_secs(60 * 60);

/// An hour in milliseconds.
const AN_HOUR_MS: i64 = 60 * 60 * 1_000;

/// Rows in one transaction: few enough that no receipt waits long for it.
const BATCH: u32 = 1_000;

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct Retain {
    pub(super) store: Store,
    pub(super) vault: Vault,
}

impl Rounds for Retain {
    const NAME: &'static str = "retain";

    fn interval(&self) -> Duration {
        EVERY
    }

    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        self.drop_old(now).await
    }
}

impl Retain {
    /// Drops one batch of each kind. What deleted projects held comes last: it may take many rounds, and nothing
    /// else is to wait for it.
    async fn drop_old(&self, now: Timestamp) -> Result<Left, StoreError> {
        let kept_since = now.plus_millis(-i64::try_from(ANSWERS_KEPT.as_millis()).unwrap_or(i64::MAX));
        let keys = self.store.forget_answers(now, BATCH).await?;
        let heads = self.store.forget_answer_heads(kept_since, BATCH).await?;
        let guesses = self.store.forget_guesses(now, BATCH).await?;
        let devices = self.store.forget_old_devices(now, BATCH).await?;
        let most = keys.max(heads).max(guesses).max(devices);
        if most >= u64::from(BATCH) {
            return Ok(Left::More);
        }
        // No head is left that these keys could open.
        self.vault.forget_answers_before(kept_since).await?;
        // An hour on, no call is under way that was to be signed with one.
        self.store
            .forget_ended_secrets(now.plus_millis(-AN_HOUR_MS))
            .await?;
        self.store.forget_sessions(now).await?;
        self.store.forget_proposed_second_factors(now).await?;
        self.store.forget_links(now).await?;
        self.store.forget_mail_rates(now).await?;
        // An hour after its deletion no request and no call of a project is under way.
        Ok(
            match self.store.purge(now.plus_millis(-AN_HOUR_MS), BATCH).await? {
                Purged::Nothing => Left::Nothing,
                Purged::Rows(_) | Purged::Project => Left::More,
            },
        )
    }
}

//! Asks Stripe for the subscriptions that its events are about, and once a day for each of which no event tells. Each
//! question is a task of its own, so that a Stripe that hangs holds up nothing but what is asked of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sendpromptly_core::billing::next_try;
use sendpromptly_core::time::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rounds::{Left, Rounds};
use crate::metrics::StripeMetrics;
use crate::platform::clock;
use crate::store::billing::reads::{Cause, ClaimedRead, ReadEnd};
use crate::store::{Store, StoreError};
use crate::stripe::client::{StripeClient, StripeError};

/// How often is looked for what is to be asked.
const EVERY: Duration = Duration::from_secs(1);

/// Questions that a node has at once; Stripe takes far more of them a second.
const AT_ONCE: usize = 4;

/// Looks that a node has at once; it begins one a round at most.
const LOOKS_AT_ONCE: usize = 1;

/// Failures in a row after which waits grow no longer.
const MOST_FAILURES: u32 = 20;

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct ReadStripe {
    store: Store,
    client: StripeClient,
    metrics: StripeMetrics,
    slots: Arc<Semaphore>,
    look_slots: Arc<Semaphore>,
    pause: Arc<Mutex<Pause>>,
}

/// How long nothing is looked at, for Stripe gave no answer. Events are not waited for so: each of their questions has
/// waits of its own.
#[derive(Debug, Default)]
struct Pause {
    failures: u32,
    over_at: Option<Timestamp>,
}

impl Rounds for ReadStripe {
    const NAME: &'static str = "stripe";

    fn interval(&self) -> Duration {
        EVERY
    }

    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        while let Ok(slot) = self.slots.clone().try_acquire_owned() {
            // The lease counts from here: what came between may have taken long.
            let Some(claimed) = self.store.claim_read(clock::now().max(now)).await? else {
                break;
            };
            tokio::spawn(self.clone().see_through(claimed, slot));
        }
        self.look(now).await?;
        Ok(Left::Nothing)
    }
}

impl Pause {
    fn is_over(&self, now: Timestamp) -> bool {
        self.over_at.is_none_or(|over_at| over_at <= now)
    }

    /// Stripe has answered, or has not.
    fn hear(&mut self, has_answered: bool, now: Timestamp) {
        if has_answered {
            return *self = Self::default();
        }
        // The longest wait is reached before these are.
        self.failures = (self.failures + 1).min(MOST_FAILURES);
        self.over_at = next_try(self.failures).map(|wait| now.plus(wait));
    }
}

impl ReadStripe {
    pub(super) fn new(store: Store, client: StripeClient, metrics: StripeMetrics) -> Self {
        Self {
            store,
            client,
            metrics,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            look_slots: Arc::new(Semaphore::new(LOOKS_AT_ONCE)),
            pause: Arc::default(),
        }
    }

    async fn look(&self, now: Timestamp) -> Result<(), StoreError> {
        if !self.pause().is_over(now) {
            return Ok(());
        }
        let Ok(slot) = self.look_slots.clone().try_acquire_owned() else {
            return Ok(());
        };
        if let Some(claimed) = self.store.claim_look(now).await? {
            tokio::spawn(self.clone().see_through(claimed, slot));
        }
        Ok(())
    }

    fn pause(&self) -> MutexGuard<'_, Pause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, and records what became of it.
    async fn see_through(self, claimed: ClaimedRead, _slot: OwnedSemaphorePermit) {
        let asked_at = clock::now();
        let answer = self.client.subscription(&claimed.subscription).await;
        let now = clock::now();
        self.pause().hear(answer.is_ok(), now);
        let end = match answer {
            Ok(Some(answer)) => ReadEnd::Told(answer, asked_at),
            Ok(None) => ReadEnd::Unknown,
            Err(error) => end_of(&claimed, error, now),
        };
        if end == ReadEnd::Unknown {
            tracing::warn!("Stripe knows a subscription no longer that its events were about; they decide");
        }
        match self.store.end_read(&claimed, end, now).await {
            Ok(true) => self.metrics.read(&end),
            Ok(false) => tracing::debug!("an event came while Stripe was asked, which is asked again"),
            Err(error) => {
                tracing::warn!(%error, "what Stripe told of a subscription was not recorded; it is asked again");
            }
        }
    }
}

/// What follows where Stripe gave nothing.
fn end_of(claimed: &ClaimedRead, error: StripeError, now: Timestamp) -> ReadEnd {
    let Cause::Event { tries } = claimed.cause else {
        tracing::warn!(%error, "Stripe did not tell of a subscription and is asked again another day");
        return ReadEnd::NotSeen;
    };
    match next_try(tries) {
        Some(wait) => {
            tracing::warn!(tries, %error, "Stripe did not tell of a subscription and is asked again");
            ReadEnd::Waits(now.plus(wait))
        }
        None => {
            tracing::error!(tries, %error, "Stripe is not asked for a subscription any more today; its events decide");
            ReadEnd::GivenUp
        }
    }
}

#[cfg(test)]
mod tests;

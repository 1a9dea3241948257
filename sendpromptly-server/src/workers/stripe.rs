//! Asks Stripe for the subscriptions that its events are about. Each question is a task of its own, so that a Stripe
//! that hangs holds up nothing but what is asked of it.

use std::sync::Arc;
use std::time::Duration;

use sendpromptly_core::billing::next_try;
use sendpromptly_core::time::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rounds::{Left, Rounds};
use crate::metrics::StripeMetrics;
use crate::platform::clock;
use crate::store::billing::reads::{ClaimedRead, ReadEnd};
use crate::store::{Store, StoreError};
use crate::stripe::client::{StripeClient, StripeError};

/// How often is looked for what is to be asked.
const EVERY: Duration = Duration::from_secs(1);

/// Questions that a node has at once; Stripe takes far more of them a second.
const AT_ONCE: usize = 4;

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct ReadStripe {
    store: Store,
    client: StripeClient,
    metrics: StripeMetrics,
    slots: Arc<Semaphore>,
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
        Ok(Left::Nothing)
    }
}

impl ReadStripe {
    pub(super) fn new(store: Store, client: StripeClient, metrics: StripeMetrics) -> Self {
        Self {
            store,
            client,
            metrics,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Asks, and records what became of it.
    async fn see_through(self, claimed: ClaimedRead, _slot: OwnedSemaphorePermit) {
        let asked_at = clock::now();
        let answer = self.client.subscription(&claimed.subscription).await;
        let now = clock::now();
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
    let tries = claimed.tries;
    match next_try(tries) {
        Some(wait) => {
            tracing::warn!(tries, %error, "Stripe did not tell of a subscription and is asked again");
            ReadEnd::Waits(now.plus(wait))
        }
        None => {
            tracing::error!(tries, %error, "Stripe is not asked for a subscription any more; its events decide");
            ReadEnd::GivenUp
        }
    }
}

//! Compares this node's clock with the database's: nodes that disagree would time events out at odds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sendpromptly_core::time::Timestamp;

use super::rounds::{Left, Rounds};
use crate::platform::clock;
use crate::store::{Store, StoreError};

const EVERY: Duration = Duration::from_secs(30);

/// Whether the clocks are too far apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Skew(Arc<AtomicBool>);

impl Skew {
    pub(super) fn is_too_great(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Notes how far the clocks are apart.
    fn note(&self, apart: Duration) {
        let too_great = apart > clock::TOLERATED_SKEW;
        if self.0.swap(too_great, Ordering::Relaxed) == too_great {
            return;
        }
        if too_great {
            tracing::error!(
                ?apart,
                "this node's clock and the database's are too far apart; not ready"
            );
        } else {
            tracing::info!("this node's clock and the database's agree again");
        }
    }
}

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    pub(super) store: Store,
    pub(super) skew: Skew,
}

impl Rounds for Clock {
    const NAME: &'static str = "clock";

    fn interval(&self) -> Duration {
        EVERY
    }

    async fn round(&mut self, _: Timestamp) -> Result<Left, StoreError> {
        let before = clock::now();
        if let Some(theirs) = self.store.clock().await? {
            // Their time was read somewhere between ours before and after.
            let after = clock::now();
            self.skew.note(theirs.since(after).max(before.since(theirs)));
        }
        Ok(Left::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::super::beat::Pulse;
    use super::super::{Health, Sweep};
    use super::*;

    #[test]
    fn two_seconds_apart_are_tolerated_and_more_are_not_until_the_clocks_agree_again() {
        let skew = Skew::default();
        let note = |millis| {
            skew.note(Duration::from_millis(millis));
            skew.is_too_great()
        };
        assert_eq!(
            [2_000, 2_001, 60_000, 2_000, 0].map(note),
            [false, true, true, false, false]
        );
    }

    #[tokio::test]
    async fn a_node_whose_clock_is_wrong_is_not_ready_though_every_worker_is_well() {
        let pulses = [Clock::NAME, Sweep::NAME].map(|name| (name, Pulse::new()));
        let health = Health {
            pulses: pulses.to_vec(),
            skew: Skew::default(),
        };
        let stalled = |millis| {
            health.skew.note(Duration::from_millis(millis));
            health.stalled()
        };
        assert!(stalled(2_000).is_empty());
        assert_eq!(stalled(2_001), [Clock::NAME]);
        assert!(stalled(0).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_wrong_and_no_longer_compared_is_told_of_once() {
        let health = Health {
            pulses: vec![(Clock::NAME, Pulse::new())],
            skew: Skew::default(),
        };
        health.skew.note(Duration::from_secs(3));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(health.stalled(), [Clock::NAME]);
    }
}

//! What Stripe tells of a subscription when it is asked, and how that goes together with its events.

use std::time::Duration;

use super::{Fact, Status, Subscription, in_order};
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// What Stripe has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What became of the subscription.
    pub status: Status,
    /// Up to when it is paid for, in whole seconds.
    pub paid_until: Option<Timestamp>,
}

/// A subscription as Stripe told it at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Stripe's id of the subscription.
    pub subscription: String,
    /// When Stripe was asked.
    pub at: Timestamp,
    /// What had become of it.
    pub status: Status,
    /// Since when a payment is missing, where one is.
    pub past_due_since: Option<Timestamp>,
    /// Up to when it is paid for.
    pub paid_until: Option<Timestamp>,
}

/// How long after the first try that failed the next one is made; each time it is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// Tries, for three days: as long as Stripe itself goes on with an event.
const MOST_TRIES: u32 = 80;

/// After how long Stripe is asked again, where so many tries have failed: 5 seconds after the first, twice as long after
/// each, an hour at the most. `None` from the 80th on, after about three days: it is not asked again before there is
/// another event.
#[must_use]
pub fn next_try(tries: u32) -> Option<Duration> {
    let doublings = tries.saturating_sub(1).min(16);
    (tries < MOST_TRIES).then(|| (FIRST_WAIT * 2_u32.pow(doublings)).min(LONGEST_WAIT))
}

impl Reading {
    /// What was answered at this time, where these were all the facts about the subscription, and `before` what Stripe
    /// had told before. Stripe does not tell since when a payment is missing: that is what was known of it, or else now.
    #[must_use]
    pub fn of(
        subscription: &str,
        answer: Answer,
        at: Timestamp,
        facts: &[Fact],
        before: Option<&Self>,
    ) -> Self {
        let known = Subscription::told_by(&in_order(facts), before);
        let since = known.as_ref().and_then(|known| known.past_due_since);
        Self {
            subscription: subscription.to_owned(),
            at,
            status: answer.status,
            past_due_since: (answer.status == Status::PastDue).then(|| since.unwrap_or(at)),
            paid_until: answer.paid_until.or(known.and_then(|known| known.paid_until)),
        }
    }

    /// Whether what a fact says was there already when Stripe was asked. Facts have whole seconds.
    pub(super) fn knows(&self, fact: &Fact) -> bool {
        fact.is_read || fact.at.plus_millis(1_000) <= self.at
    }
}

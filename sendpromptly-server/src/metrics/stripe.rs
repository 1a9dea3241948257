//! What Stripe tells of subscriptions, by itself and when it is asked, and what organizations are by that.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::outcomes::Outcomes;
use crate::http::ApiError;
use crate::store::billing::Heard;
use crate::store::billing::counts::BillingCounts;
use crate::store::billing::reads::ReadEnd;

/// What a webhook came to: it was new; it had come before; it says nothing of a subscription; it is of Stripe's other
/// mode; it is not signed for this server; its body did not come whole, or is too large; it was not read, for others fill
/// the room; it is signed, but cannot be read; the store was away.
const WEBHOOKS: [&str; 9] = [
    "heard",
    "again",
    "passed_over",
    "other_mode",
    "not_signed",
    "not_whole",
    "no_room",
    "unreadable",
    "failed",
];

/// What a question came to: Stripe answered; it knows nothing of it; it is asked again; it was asked often enough, and is
/// asked again another day.
const READS: [&str; 4] = ["told", "unknown", "failed", "given_up"];

/// What became of a webhook that Stripe has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It tells of a subscription, and is stored.
    Heard(Heard),
    /// It says nothing of a subscription.
    SaysNothing,
    /// It is of the mode of Stripe's in which no subscriptions of this server are.
    OfAnotherMode,
}

/// Figures of billing. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct StripeMetrics {
    webhooks: Outcomes,
    reads: Outcomes,
    waiting: Gauge,
    organizations: Family<State, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    subscription: &'static str,
}

impl StripeMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            webhooks: Outcomes::register(
                registry,
                "stripe_webhooks",
                "Webhooks at /webhooks/stripe, by what they came to",
                &WEBHOOKS,
            ),
            reads: Outcomes::register(
                registry,
                "stripe_reads",
                "Questions to Stripe what became of a subscription, by what they came to",
                &READS,
            ),
            ..Self::default()
        };
        registry.register(
            "stripe_reads_waiting",
            "Subscriptions that Stripe is to be asked for, of the whole store",
            metrics.waiting.clone(),
        );
        registry.register(
            "organizations",
            "Organizations by the state of their subscription, of the whole store",
            metrics.organizations.clone(),
        );
        metrics
    }

    /// A webhook was taken.
    pub fn took(&self, taken: Taken) {
        self.webhooks.count(match taken {
            Taken::Heard(Heard::New) => "heard",
            Taken::Heard(Heard::Again) => "again",
            Taken::SaysNothing => "passed_over",
            Taken::OfAnotherMode => "other_mode",
        });
    }

    /// A webhook was refused.
    pub fn refused(&self, error: &ApiError) {
        self.webhooks.count(refusal(error));
    }

    /// A question ended so.
    pub fn read(&self, end: &ReadEnd) {
        self.reads.count(match end {
            ReadEnd::Told(..) => "told",
            ReadEnd::Unknown => "unknown",
            ReadEnd::Waits(_) | ReadEnd::NotSeen => "failed",
            ReadEnd::GivenUp => "given_up",
        });
    }

    /// The store was found so.
    pub fn found(&self, counts: &BillingCounts) {
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.waiting.set(whole(counts.to_read));
        for (status, count) in &counts.organizations {
            let subscription = status.map_or("none", |status| status.as_str());
            let gauge = self.organizations.get_or_create(&State { subscription });
            gauge.set(whole(*count));
        }
    }
}

fn refusal(error: &ApiError) -> &'static str {
    match error {
        ApiError::InvalidSignature => "not_signed",
        ApiError::WebhookTooLarge | ApiError::RequestTimeout | ApiError::BadRequest => "not_whole",
        ApiError::NoRoom => "no_room",
        ApiError::Invalid(_) => "unreadable",
        _ => "failed",
    }
}

#[cfg(test)]
mod tests {
    use sendpromptly_core::request::FieldErrors;

    use super::*;

    #[test]
    fn a_webhook_that_is_refused_is_counted_by_whose_fault_it_is() {
        for (error, outcome) in [
            (ApiError::InvalidSignature, "not_signed"),
            (ApiError::WebhookTooLarge, "not_whole"),
            (ApiError::RequestTimeout, "not_whole"),
            (ApiError::BadRequest, "not_whole"),
            (ApiError::NoRoom, "no_room"),
            (ApiError::Invalid(FieldErrors::default()), "unreadable"),
            (ApiError::Unavailable, "failed"),
            (ApiError::Internal, "failed"),
        ] {
            assert_eq!(refusal(&error), outcome);
            assert!(WEBHOOKS.contains(&outcome));
        }
    }
}

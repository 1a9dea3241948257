//! Alerts to people.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::store::alert_queue::AlertEnd;

const OUTCOMES: [&str; 3] = ["sent", "failed", "given_up"];

/// Figures of alerts. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct AlertMetrics {
    deliveries: Family<Outcome, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

impl AlertMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        // A rate cannot be taken of what was not there before.
        for outcome in OUTCOMES {
            let _zero = metrics.deliveries.get_or_create_owned(&Outcome { outcome });
        }
        registry.register(
            "alert_deliveries",
            "Tries to send an alert, by whether it was taken, will be tried again, or was given up",
            metrics.deliveries.clone(),
        );
        metrics
    }

    /// A try ended so.
    pub fn ended(&self, end: &AlertEnd) {
        let outcome = match end {
            AlertEnd::Sent => "sent",
            AlertEnd::Waits(..) => "failed",
            AlertEnd::GivenUp(_) => "given_up",
            AlertEnd::HandedBack => return,
        };
        self.deliveries.get_or_create(&Outcome { outcome }).inc();
    }
}

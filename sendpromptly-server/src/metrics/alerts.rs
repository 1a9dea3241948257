//! Alerts to people.

use prometheus_client::registry::Registry;

use super::outcomes::Outcomes;
use crate::store::alert_queue::AlertEnd;

const OUTCOMES: [&str; 3] = ["sent", "failed", "given_up"];

/// Figures of alerts. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct AlertMetrics {
    deliveries: Outcomes,
}

impl AlertMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let deliveries = Outcomes::register(
            registry,
            "alert_deliveries",
            "Tries to send an alert, by whether it was taken, will be tried again, or was given up",
            &OUTCOMES,
        );
        Self { deliveries }
    }

    /// A try ended so.
    pub fn ended(&self, end: &AlertEnd) {
        let outcome = match end {
            AlertEnd::Sent => "sent",
            AlertEnd::Waits(..) => "failed",
            AlertEnd::GivenUp(_) => "given_up",
            AlertEnd::HandedBack => return,
        };
        self.deliveries.count(outcome);
    }
}

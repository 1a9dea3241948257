//! What retention drops, and when it last had nothing left to drop.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use sendpromptly_core::time::Timestamp;

/// Figures of retention. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct RetentionMetrics {
    rows: Family<Pass, Counter>,
    up_to_date: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pass {
    pass: &'static str,
}

impl RetentionMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "retention_rows",
            "Rows whose time was over and that were dropped, by what they were",
            metrics.rows.clone(),
        );
        registry.register_with_unit(
            "retention_up_to_date_timestamp",
            "When all whose time was over had been dropped, the last time, in Unix time; 0 before the first",
            Unit::Seconds,
            metrics.up_to_date.clone(),
        );
        metrics
    }

    /// A pass dropped so many rows.
    pub fn dropped(&self, pass: &'static str, rows: u64) {
        self.rows.get_or_create(&Pass { pass }).inc_by(rows);
    }

    /// Nothing is left whose time is over.
    pub fn is_up_to_date(&self, now: Timestamp) {
        self.up_to_date.set(now.as_secs());
    }
}

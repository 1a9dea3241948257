//! Receipts and results on their way into the store.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Figures of the committers. Clones share them.
#[derive(Debug, Clone)]
pub struct CommitMetrics {
    batches: Histogram,
    receipts: Histogram,
    results: Histogram,
    failures: Counter,
    waiting: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

impl CommitMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let durations = Family::<Kind, Histogram>::new_with_constructor(super::seconds);
        let of = |kind| durations.get_or_create_owned(&Kind { kind });
        let metrics = Self {
            receipts: of("receipts"),
            results: of("results"),
            ..Self::default()
        };
        registry.register(
            "ingest_batch_requests",
            "Requests that a committer took at once",
            metrics.batches.clone(),
        );
        registry.register_with_unit(
            "ingest_commit_duration",
            "How long the store took to commit a batch",
            Unit::Seconds,
            durations,
        );
        registry.register(
            "ingest_commit_failures",
            "Batches that the store did not commit; their senders were told so, or they were tried again one by one",
            metrics.failures.clone(),
        );
        registry.register(
            "ingest_queue_requests",
            "Requests that wait for a committer",
            metrics.waiting.clone(),
        );
        metrics
    }

    /// A committer took so many requests.
    pub fn batch(&self, requests: usize) {
        self.batches
            .observe(f64::from(u32::try_from(requests).unwrap_or(u32::MAX)));
    }

    /// Receipts were committed.
    pub fn committed_receipts(&self, took: Duration) {
        self.receipts.observe(took.as_secs_f64());
    }

    /// Results were committed.
    pub fn committed_results(&self, took: Duration) {
        self.results.observe(took.as_secs_f64());
    }

    /// A batch was not committed.
    pub fn failed(&self) {
        self.failures.inc();
    }

    /// So many requests wait.
    pub fn waiting(&self, requests: usize) {
        self.waiting.set(i64::try_from(requests).unwrap_or(i64::MAX));
    }
}

/// Figures that nobody reads.
impl Default for CommitMetrics {
    fn default() -> Self {
        Self {
            batches: Histogram::new(exponential_buckets(1.0, 2.0, 7)),
            receipts: super::seconds(),
            results: super::seconds(),
            failures: Counter::default(),
            waiting: Gauge::default(),
        }
    }
}

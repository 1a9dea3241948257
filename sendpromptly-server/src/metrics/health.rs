//! Whether the workers get on, and for how long the certificate holds.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use sendpromptly_core::time::Timestamp;
use std::sync::atomic::AtomicU64;

/// Figures of workers and certificates. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct HealthMetrics {
    in_trouble: Family<Worker, Gauge>,
    beat_age: Family<Worker, Gauge<f64, AtomicU64>>,
    certificate: Family<Certificate, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Worker {
    worker: &'static str,
}

/// There is one; as a label it is told only where there is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Certificate {
    of: &'static str,
}

impl HealthMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "worker_in_trouble",
            "1 while a worker has stalled or all that it tries fails; the server is not ready then",
            metrics.in_trouble.clone(),
        );
        registry.register_with_unit(
            "worker_beat_age",
            "How long ago a worker gave its last sign of life",
            Unit::Seconds,
            metrics.beat_age.clone(),
        );
        registry.register_with_unit(
            "certificate_expiry_timestamp",
            "When the certificate that clients get runs out, in Unix time",
            Unit::Seconds,
            metrics.certificate.clone(),
        );
        metrics
    }

    /// A worker was found so.
    pub fn worker(&self, worker: &'static str, beat_age: std::time::Duration, in_trouble: bool) {
        let worker = Worker { worker };
        self.beat_age.get_or_create(&worker).set(beat_age.as_secs_f64());
        self.in_trouble.get_or_create(&worker).set(i64::from(in_trouble));
    }

    /// The certificate that clients get holds until this time.
    pub fn certificate(&self, until: Timestamp) {
        let certificate = Certificate { of: "server" };
        self.certificate.get_or_create(&certificate).set(until.as_secs());
    }
}

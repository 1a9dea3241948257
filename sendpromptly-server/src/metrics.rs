//! What the server counts and measures of itself, in the form that Prometheus reads (OpenMetrics 1.0).
//!
//! Each part of the server holds the handles of its own figures; [`Metrics`] knows them all and writes them down.
//! No label holds what customers sent, or an id. `docs/metrics.md` lists every figure.

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

pub mod alerts;
pub mod backlog;
pub mod calls;
pub mod commits;
pub mod health;
mod outcomes;
pub mod process;
pub mod requests;
pub mod retention;
pub mod stripe;

pub use alerts::AlertMetrics;
pub use backlog::BacklogMetrics;
pub use calls::CallMetrics;
pub use commits::CommitMetrics;
pub use health::HealthMetrics;
pub use requests::{Part, RequestMetrics};
pub use retention::RetentionMetrics;
pub use stripe::{StripeMetrics, Taken};

use process::Process;

/// What every name begins with, but for those of the process, whose names are the same in every program.
const PREFIX: &str = "sendpromptly";

/// How the answer of `/metrics` is typed.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every figure of this process.
pub struct Metrics {
    /// Requests that were answered.
    pub requests: RequestMetrics,
    /// Receipts and results on their way into the store.
    pub commits: CommitMetrics,
    /// Callbacks.
    pub calls: CallMetrics,
    /// Alerts to people.
    pub alerts: AlertMetrics,
    /// What waits in the store.
    pub backlog: BacklogMetrics,
    /// What Stripe tells of subscriptions.
    pub stripe: StripeMetrics,
    /// What is kept for a time only.
    pub retention: RetentionMetrics,
    /// Workers and certificates.
    pub health: HealthMetrics,
    registry: Registry,
}

impl Metrics {
    /// New figures, all at zero, of a server on this kind of store.
    #[must_use]
    pub fn new(store: &'static str) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let ours = registry.sub_registry_with_prefix(PREFIX);
        let build = Family::<_, Gauge>::default();
        let labels = [("version", env!("CARGO_PKG_VERSION")), ("store", store)];
        build.get_or_create(&labels).set(1);
        ours.register("build_info", "What runs, on which kind of store", build);
        Self {
            requests: RequestMetrics::register(ours),
            commits: CommitMetrics::register(ours),
            calls: CallMetrics::register(ours),
            alerts: AlertMetrics::register(ours),
            backlog: BacklogMetrics::register(ours),
            stripe: StripeMetrics::register(ours),
            retention: RetentionMetrics::register(ours),
            health: HealthMetrics::register(ours),
            registry,
        }
    }

    /// Every figure as it is now.
    ///
    /// # Errors
    /// [`fmt::Error`] where a figure cannot be written, which no figure of ours is.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(..)")
    }
}

/// A histogram of times, in seconds: from a millisecond, which a commit takes, to the ten seconds in which somebody
/// gives up.
fn seconds() -> Histogram {
    Histogram::new([
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_counted_is_told_with_its_name_and_its_labels() {
        let metrics = Metrics::new("sqlite");
        metrics
            .requests
            .answered("/v1/receipt", Part::Ingest, 202, Duration::from_millis(3));
        metrics
            .requests
            .answered("/v1/receipt", Part::Ingest, 202, Duration::from_millis(30));
        metrics.commits.batch(64);
        let text = metrics.text().unwrap();
        for line in [
            concat!(
                "sendpromptly_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\",store=\"sqlite\"} 1"
            ),
            "sendpromptly_http_requests_total{path=\"/v1/receipt\",status=\"202\"} 2",
            "sendpromptly_http_request_duration_seconds_bucket{le=\"0.005\",part=\"ingest\"} 1",
            "sendpromptly_http_request_duration_seconds_count{part=\"ingest\"} 2",
            "sendpromptly_ingest_batch_requests_sum 64.0",
            "# EOF",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in\n{text}"
            );
        }
        assert!(text.contains("process_resident_memory_bytes "));
    }
}

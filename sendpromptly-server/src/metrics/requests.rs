//! Requests that were answered, and how long that took.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Figures of requests. Clones share them.
#[derive(Debug, Clone)]
pub struct RequestMetrics {
    answered: Family<Answered, Counter>,
    ingest: Histogram,
    console: Histogram,
    other: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    /// As the routes have it, without ids.
    path: &'static str,
    status: u16,
}

/// What of the server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What takes in events: receipts, results and what providers send.
    Ingest,
    /// What people see.
    Console,
    /// All else, also where nothing is.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    part: &'static str,
}

impl RequestMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let answered = Family::default();
        registry.register("http_requests", "Requests that were answered", answered.clone());
        let durations = Family::<Labels, Histogram>::new_with_constructor(super::seconds);
        registry.register_with_unit(
            "http_request_duration",
            "From a request's head to its answer; of ingest, the body and the commit included",
            Unit::Seconds,
            durations.clone(),
        );
        let of = |part| durations.get_or_create_owned(&Labels { part });
        Self {
            answered,
            ingest: of("ingest"),
            console: of("console"),
            other: of("other"),
        }
    }

    /// A request at this path of the route table was answered.
    pub fn answered(&self, path: &'static str, part: Part, status: u16, took: Duration) {
        self.answered.get_or_create(&Answered { path, status }).inc();
        self.durations_of(part).observe(took.as_secs_f64());
    }

    const fn durations_of(&self, part: Part) -> &Histogram {
        match part {
            Part::Ingest => &self.ingest,
            Part::Console => &self.console,
            Part::Other => &self.other,
        }
    }
}

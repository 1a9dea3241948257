//! Callbacks to repair endpoints.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The usual outcomes, which are told from the start: a rate cannot be taken of what was not there before.
const OUTCOMES: [&str; 4] = ["2xx", "4xx", "5xx", "timeout"];

/// Figures of callbacks. Clones share them.
#[derive(Debug, Clone)]
pub struct CallMetrics {
    attempts: Family<Outcome, Counter>,
    durations: Histogram,
    under_way: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

impl CallMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for outcome in OUTCOMES {
            let _zero = metrics.attempts.get_or_create_owned(&Outcome { outcome });
        }
        registry.register(
            "callback_attempts",
            "Callbacks that ended, by the class of the answer's status or by what kept it from coming",
            metrics.attempts.clone(),
        );
        registry.register_with_unit(
            "callback_duration",
            "From the beginning of a callback to its status line or its failure",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register(
            "callbacks_under_way",
            "Callbacks under way",
            metrics.under_way.clone(),
        );
        metrics
    }

    /// A callback begins. It is under way until what this gives is dropped.
    #[must_use]
    pub fn begin(&self) -> UnderWay {
        self.under_way.inc();
        UnderWay(self.under_way.clone())
    }

    /// A callback ended: with this status, or for what this word says.
    pub fn ended(&self, status: Option<u16>, word: &'static str, took: Option<Duration>) {
        let outcome = status.map_or(word, class_of);
        self.attempts.get_or_create(&Outcome { outcome }).inc();
        if let Some(took) = took {
            self.durations.observe(took.as_secs_f64());
        }
    }
}

/// Figures that nobody reads.
impl Default for CallMetrics {
    fn default() -> Self {
        Self {
            attempts: Family::default(),
            durations: super::seconds(),
            under_way: Gauge::default(),
        }
    }
}

/// A callback under way.
#[derive(Debug)]
pub struct UnderWay(Gauge);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

const fn class_of(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "other",
    }
}

//! Callbacks to repair endpoints.

use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::outcomes::Outcomes;

const OUTCOMES: [&str; 4] = ["2xx", "4xx", "5xx", "timeout"];

/// Figures of callbacks. Clones share them.
#[derive(Debug, Clone)]
pub struct CallMetrics {
    attempts: Outcomes,
    durations: Histogram,
    under_way: Gauge,
}

impl CallMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let attempts = Outcomes::register(
            registry,
            "callback_attempts",
            "Callbacks that ended, by the class of the answer's status or by what kept it from coming",
            &OUTCOMES,
        );
        let metrics = Self {
            attempts,
            ..Self::default()
        };
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
        self.attempts.count(status.map_or(word, class_of));
        if let Some(took) = took {
            self.durations.observe(took.as_secs_f64());
        }
    }
}

/// Figures that nobody reads.
impl Default for CallMetrics {
    fn default() -> Self {
        Self {
            attempts: Outcomes::default(),
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

//! What waits in the store, as the worker that looks at it now and then has found it.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use sendpromptly_core::time::Timestamp;

use std::sync::atomic::AtomicU64;

use crate::store::backlog::Backlog;

/// A figure with fractions.
type Fraction = Gauge<f64, AtomicU64>;

/// Figures of what waits. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct BacklogMetrics {
    incidents: Family<State, Gauge>,
    oldest_incident: Fraction,
    sweep_lag: Fraction,
    call_lag: Fraction,
    mails: Gauge,
    store: Fraction,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

impl BacklogMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "incidents",
            "Incidents that are not settled, of the whole store",
            metrics.incidents.clone(),
        );
        let mut lag = |name: &str, help: &str, lag: &Fraction| {
            registry.register_with_unit(name, help, Unit::Seconds, lag.clone());
        };
        lag(
            "oldest_open_incident_age",
            "How long ago the oldest open incident was opened; 0 where none is open",
            &metrics.oldest_incident,
        );
        lag(
            "sweep_lag",
            "For how long the event that is overdue the longest has been waiting to be found; 0 where none is",
            &metrics.sweep_lag,
        );
        lag(
            "callback_lag",
            "For how long the callback that is due the longest has been waiting to be made; 0 where none is",
            &metrics.call_lag,
        );
        lag(
            "store_latency",
            "How long the store took to answer what these figures come from",
            &metrics.store,
        );
        registry.register(
            "mails_waiting",
            "Mails that wait to be sent",
            metrics.mails.clone(),
        );
        metrics
    }

    /// The store was found so at this time, and took so long to tell.
    pub fn found(&self, backlog: &Backlog, now: Timestamp, took: Duration) {
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let state = |state, count| self.incidents.get_or_create(&State { state }).set(whole(count));
        state("open", backlog.open);
        state("reprocessing", backlog.reprocessing);
        let since = |time: Option<Timestamp>| time.map_or(0.0, |time| now.since(time).as_secs_f64());
        self.oldest_incident.set(since(backlog.oldest_open));
        self.sweep_lag.set(since(backlog.first_to_sweep));
        self.call_lag.set(since(backlog.first_to_call));
        self.mails.set(whole(backlog.mails));
        self.store.set(took.as_secs_f64());
    }
}

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
    alert_lag: Fraction,
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
            "alert_lag",
            "For how long the alert that is due the longest has been waiting to be sent; 0 where none is",
            &metrics.alert_lag,
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
        self.alert_lag.set(since(backlog.first_to_tell));
        self.mails.set(whole(backlog.mails));
        self.store.set(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn each_of_what_waits_has_its_own_figure() {
        let ago = |seconds: i64| Some(NOW.plus_millis(-1_000 * seconds));
        let backlog = Backlog {
            open: 2,
            reprocessing: 1,
            oldest_open: ago(5),
            first_to_sweep: ago(7),
            first_to_call: ago(11),
            first_to_tell: ago(13),
            mails: 3,
        };
        let metrics = Metrics::new("sqlite");
        metrics.backlog.found(&backlog, NOW, Duration::from_millis(17));
        let text = metrics.text().unwrap();
        for line in [
            "incidents{state=\"open\"} 2",
            "incidents{state=\"reprocessing\"} 1",
            "oldest_open_incident_age_seconds 5.0",
            "sweep_lag_seconds 7.0",
            "callback_lag_seconds 11.0",
            "alert_lag_seconds 13.0",
            "mails_waiting 3",
            "store_latency_seconds 0.017",
        ] {
            let line = format!("sendpromptly_{line}");
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in\n{text}"
            );
        }
    }

    #[test]
    fn what_is_due_later_does_not_wait() {
        let metrics = Metrics::new("sqlite");
        let later = Some(NOW.plus_millis(60_000));
        let backlog = Backlog {
            first_to_sweep: later,
            first_to_call: later,
            first_to_tell: later,
            ..Backlog::default()
        };
        metrics.backlog.found(&backlog, NOW, Duration::ZERO);
        let text = metrics.text().unwrap();
        for name in ["sweep", "callback", "alert"] {
            assert!(
                text.contains(&format!("sendpromptly_{name}_lag_seconds 0.0\n")),
                "{text}"
            );
        }
    }
}

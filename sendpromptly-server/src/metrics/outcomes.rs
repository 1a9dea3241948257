//! How often what was done came to what.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Counters, one for each outcome. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcomes(Family<Outcome, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

impl Outcomes {
    /// The usual outcomes are told from the start: a rate cannot be taken of what was not there before.
    pub(super) fn register(
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        usual: &[&'static str],
    ) -> Self {
        let counters = Family::<Outcome, Counter>::default();
        for outcome in usual {
            let _zero = counters.get_or_create_owned(&Outcome { outcome });
        }
        registry.register(name, help, counters.clone());
        Self(counters)
    }

    pub(super) fn count(&self, outcome: &'static str) {
        self.0.get_or_create(&Outcome { outcome }).inc();
    }
}

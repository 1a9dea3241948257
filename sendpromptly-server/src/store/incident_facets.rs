//! An incident's facet: its state, provider and effect type as one number, by which the list is filtered.
//!
//! Any choice of states, providers and effect types is a handful of numbers, and the indexes hold each number's
//! incidents in the order of the list. So a page costs a few rows of each number, however rare or common what is
//! chosen may be. The digits are readable: 2103 is state 2, provider 1, effect type 3.
//!
//! The number is written with the incident and changes with its state. The receipt of an event that was first heard of
//! from its provider changes it too, in the transaction that fills the event ([`with_receipt`]).

use std::fmt::Write as _;

use sendpromptly_core::event::{EffectType, Provider};
use sendpromptly_core::incident::IncidentState;

/// What stands before the provider and effect type in a facet.
const STATE: i64 = 1_000;
const PROVIDER: i64 = 100;

/// The effect type of an event whose receipt has not come.
const UNKNOWN: i64 = 0;

/// A state's part of the number.
pub(super) const fn of_state(state: IncidentState) -> i64 {
    STATE
        * match state {
            IncidentState::Open => 1,
            IncidentState::Reprocessing => 2,
            IncidentState::Resolved => 3,
            IncidentState::Dismissed => 4,
        }
}

const fn of_provider(provider: Provider) -> i64 {
    PROVIDER
        * match provider {
            Provider::Stripe => 1,
            Provider::Shopify => 2,
        }
}

const fn of_effect(effect: EffectType) -> i64 {
    match effect {
        EffectType::AccessUnlock => 1,
        EffectType::CreditGrant => 2,
        EffectType::SeatUpdate => 3,
        EffectType::SubscriptionStateApply => 4,
        EffectType::AccessRevocation => 5,
        EffectType::CreditDeduction => 6,
    }
}

/// The numbers of every incident in this state, as the bounds of a range, both included.
pub(super) const fn range_of(state: IncidentState) -> (i64, i64) {
    (of_state(state), of_state(state) + STATE - 1)
}

/// The provider's and effect type's part of the number, in SQL, from the row `event` of the table of events.
pub(super) fn of_event(event: &str) -> String {
    let mut sql = format!("(CASE {event}.provider");
    for provider in Provider::ALL {
        let _ = write!(sql, " WHEN '{provider}' THEN {}", of_provider(*provider));
    }
    let _ = write!(sql, " END + CASE {event}.effect_type");
    for effect in EffectType::ALL {
        let _ = write!(sql, " WHEN '{effect}' THEN {}", of_effect(*effect));
    }
    let _ = write!(sql, " ELSE {UNKNOWN} END)");
    sql
}

/// The provider's and effect type's part of the number of an event whose receipt has come.
pub(super) const fn of_receipt(provider: Provider, effect: EffectType) -> i64 {
    of_provider(provider) + of_effect(effect)
}

/// A stored number with another provider's and effect type's part, in SQL.
pub(super) fn with_receipt(facet: &str, part: &str) -> String {
    format!("{facet} - {facet} % {STATE} + {part}")
}

/// A stored number with another state, in SQL.
pub(super) fn with_state(facet: &str, state: &str) -> String {
    format!("{facet} % {STATE} + {state}")
}

/// What a list is narrowed to; `None` is whatever it may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Narrowed {
    pub(super) state: Option<IncidentState>,
    pub(super) provider: Option<Provider>,
    pub(super) effect_type: Option<EffectType>,
}

impl Narrowed {
    /// Whether it leaves nothing out.
    pub(super) fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    /// Every number that it leaves in.
    pub(super) fn facets(&self) -> Vec<i64> {
        let mut facets = Vec::new();
        for state in chosen(self.state, IncidentState::ALL) {
            for provider in chosen(self.provider, Provider::ALL) {
                let base = of_state(state) + of_provider(provider);
                if self.effect_type.is_none() {
                    facets.push(base + UNKNOWN);
                }
                let effects = chosen(self.effect_type, EffectType::ALL);
                facets.extend(effects.map(|effect| base + of_effect(effect)));
            }
        }
        facets
    }
}

fn chosen<T: Copy>(one: Option<T>, all: &[T]) -> impl Iterator<Item = T> + '_ {
    all.iter().copied().filter(move |_| one.is_none()).chain(one)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_combination_has_a_number_of_its_own() {
        let all = Narrowed::default().facets();
        assert_eq!(all.len(), 4 * 2 * 7);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn a_choice_leaves_in_what_fits_it_and_nothing_else() {
        let narrowed = Narrowed {
            state: Some(IncidentState::Reprocessing),
            provider: Some(Provider::Stripe),
            effect_type: Some(EffectType::SeatUpdate),
        };
        assert_eq!(narrowed.facets(), [2_103]);
        let open = Narrowed {
            state: Some(IncidentState::Open),
            ..Narrowed::default()
        };
        let (least, most) = range_of(IncidentState::Open);
        assert_eq!(open.facets().len(), 2 * 7);
        assert!(open.facets().iter().all(|facet| (least..=most).contains(facet)));
    }
}

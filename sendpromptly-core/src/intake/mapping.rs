//! Which of a provider's event types count for a project, and what they mean.

use std::fmt;
use std::str::FromStr;

use super::pointer::{Pointer, PointerError};
use crate::event::{EffectType, Provider, WordError};

/// The most rules of a mapping.
pub const MAX_RULES: usize = 64;

/// The most characters of an event type, as in receipts.
const MAX_EVENT_TYPE: usize = 128;

/// What counts of Stripe's events unless a project says otherwise: what is bought by a checkout, and what is paid back.
/// The first invoice of a subscription is paid by its checkout: with `invoice.paid` beside it one payment would be two
/// events, so a project whose app also tells of renewals says so.
const STRIPE: &str = "\
checkout.session.completed access_unlock /data/object/client_reference_id
checkout.session.async_payment_succeeded access_unlock /data/object/client_reference_id
charge.refunded access_revocation /data/object/customer
";

/// The same of Shopify's.
const SHOPIFY: &str = "\
orders/paid access_unlock /id
orders/cancelled access_revocation /id
refunds/create access_revocation /order_id
";

/// What an event type means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The provider's type of the event.
    pub event_type: String,
    /// The business effect that must follow.
    pub effect_type: EffectType,
    /// Where in the event the app's own reference stands, if it stands there.
    pub reference: Option<Pointer>,
}

/// A project's rules for a provider's events. It is written a line a rule: the event type, the effect type, and a JSON
/// pointer to the reference, which may be left out. Event types that it does not name are not watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping(Vec<Rule>);

/// Why a text is no mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// A line does not have its parts.
    #[error(
        "line {0}: must be an event type, an effect type and, if there is one, a JSON pointer to the reference"
    )]
    Line(usize),
    /// A line names no event type.
    #[error("line {0}: an event type must be 1 to {MAX_EVENT_TYPE} of A-Z, a-z, 0-9, '.', '_', '/' and '-'")]
    EventType(usize),
    /// A line names no effect type.
    #[error("line {0}: the effect type {1}")]
    EffectType(usize, WordError),
    /// A line's pointer is none.
    #[error("line {0}: {1}")]
    Pointer(usize, PointerError),
    /// An event type has two rules.
    #[error("line {0}: the event type {1} stands twice; an event has one effect")]
    Twice(usize, String),
    /// It has no rule.
    #[error("must have at least one line, such as: invoice.paid access_unlock /data/object/customer")]
    Empty,
    /// It has too many.
    #[error("must have at most {MAX_RULES} lines")]
    TooLong,
}

impl Mapping {
    /// What counts unless a project says otherwise.
    #[must_use]
    pub fn default_of(provider: Provider) -> Self {
        let text = match provider {
            Provider::Stripe => STRIPE,
            Provider::Shopify => SHOPIFY,
        };
        Self(
            text.lines()
                .zip(1..)
                .filter_map(|(line, number)| rule(line, number).ok())
                .collect(),
        )
    }

    /// The rule for this type of event, if it counts.
    #[must_use]
    pub fn rule(&self, event_type: &str) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.event_type == event_type)
    }

    /// Its rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.0
    }
}

/// Whether a text may be an event type.
pub(super) fn is_event_type(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    (1..=MAX_EVENT_TYPE).contains(&text.len()) && text.bytes().all(allowed)
}

fn rule(line: &str, number: usize) -> Result<Rule, MappingError> {
    let mut parts = line.split_ascii_whitespace();
    let (Some(event_type), Some(effect_type), pointer, None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(MappingError::Line(number));
    };
    if !is_event_type(event_type) {
        return Err(MappingError::EventType(number));
    }
    let effect_type = effect_type.parse();
    let pointer = pointer.map(str::parse).transpose();
    Ok(Rule {
        event_type: event_type.to_owned(),
        effect_type: effect_type.map_err(|error| MappingError::EffectType(number, error))?,
        reference: pointer.map_err(|error| MappingError::Pointer(number, error))?,
    })
}

impl FromStr for Mapping {
    type Err = MappingError;

    fn from_str(text: &str) -> Result<Self, MappingError> {
        let mut rules: Vec<Rule> = Vec::new();
        for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
            if rules.len() == MAX_RULES {
                return Err(MappingError::TooLong);
            }
            let rule = rule(line, number)?;
            if rules.iter().any(|known| known.event_type == rule.event_type) {
                return Err(MappingError::Twice(number, rule.event_type));
            }
            rules.push(rule);
        }
        if rules.is_empty() {
            return Err(MappingError::Empty);
        }
        Ok(Self(rules))
    }
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in &self.0 {
            write!(f, "{} {}", rule.event_type, rule.effect_type)?;
            if let Some(pointer) = &rule.reference {
                write!(f, " {pointer}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        text.parse::<Mapping>().unwrap_err().to_string()
    }

    #[test]
    fn a_mapping_is_written_as_it_is_read() {
        let text = "invoice.paid credit_grant /data/object/customer\norders/paid access_unlock\n";
        let mapping: Mapping = format!("\n  {}", text.replace('\n', "\r\n\n")).parse().unwrap();
        assert_eq!(mapping.to_string(), text);
        let rule = mapping.rule("invoice.paid").unwrap();
        assert_eq!(rule.effect_type, EffectType::CreditGrant);
        assert_eq!(mapping.rule("orders/paid").unwrap().reference, None);
        assert_eq!(mapping.rule("invoice.created"), None);
    }

    #[test]
    fn the_rules_that_count_unless_a_project_says_otherwise_are_whole() {
        for (provider, text) in [(Provider::Stripe, STRIPE), (Provider::Shopify, SHOPIFY)] {
            assert_eq!(Mapping::default_of(provider).to_string(), text);
            assert_eq!(text.parse(), Ok(Mapping::default_of(provider)));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, expected) in [
            ("", "at least one line"),
            (" \n ", "at least one line"),
            ("invoice.paid", "line 1: must be an event type"),
            ("a access_unlock /b c", "line 1: must be an event type"),
            (
                "a access_unlock\n\nb refund",
                "line 3: the effect type must be one of: access_unlock",
            ),
            ("invoice:paid access_unlock", "line 1: an event type must be"),
            (
                "a access_unlock data",
                "line 1: a JSON pointer must start with '/'",
            ),
            (
                "a access_unlock\na credit_grant",
                "line 2: the event type a stands twice",
            ),
        ] {
            assert!(wrong(text).contains(expected), "{text:?}: {}", wrong(text));
        }
        let many: String = (0..=MAX_RULES)
            .map(|number| format!("e{number} access_unlock\n"))
            .collect();
        assert_eq!(wrong(&many), "must have at most 64 lines");
    }
}

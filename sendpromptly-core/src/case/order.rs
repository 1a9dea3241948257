//! What a person orders about an incident, and why an order is refused.

use std::str::FromStr;

use crate::dedupe;
use crate::id::{IncidentId, ReplayId};
use crate::replay::RetrySchedule;

/// An order to reprocess an incident.
#[derive(Debug, Clone, Copy)]
pub struct ReprocessOrder<'a> {
    /// The id of the replay that the order makes.
    pub replay_id: ReplayId,
    /// Whether the operator knows that the effect may have been applied, and orders it all the same.
    pub again: bool,
    /// The schedule of its attempts.
    pub schedule: &'a RetrySchedule,
}

/// What names one order, however often it is sent: 1 to 255 visible ASCII characters, unique in a project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey(String);

/// Why a text is no order key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an order key must be 1 to 255 visible ASCII characters")]
pub struct OrderKeyError;

impl OrderKey {
    /// What a store's unique key holds in its place.
    #[must_use]
    pub fn digest(&self) -> [u8; 16] {
        dedupe::digest(&self.0)
    }
}

impl FromStr for OrderKey {
    type Err = OrderKeyError;

    fn from_str(text: &str) -> Result<Self, OrderKeyError> {
        if dedupe::is_key(text.as_bytes()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(OrderKeyError)
        }
    }
}

/// An order that was carried out, as it is remembered under its [`OrderKey`] for as long as its event is kept; a
/// refused order is not remembered, and leaves its key free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedOrder {
    /// The incident that it was about.
    pub incident_id: IncidentId,
    /// The replay that it made.
    pub replay_id: ReplayId,
}

impl PlacedOrder {
    /// The same key came again, about this incident: gives the replay that the order made, whatever has become
    /// of it since. This comes before every other rule of [`Case::reprocess`](super::Case::reprocess).
    ///
    /// # Errors
    /// [`Refusal::OrderKeyTaken`] where the key named an order about another incident.
    pub fn repeated_for(&self, incident_id: IncidentId) -> Result<ReplayId, Refusal> {
        if self.incident_id == incident_id {
            Ok(self.replay_id)
        } else {
            Err(Refusal::OrderKeyTaken(self.incident_id))
        }
    }
}

/// Why a person puts an incident aside: 1 to 1,024 Unicode characters, not blank, no control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DismissalReason(String);

/// Why a text is no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a reason must be 1 to {} characters, not blank, without control characters",
    DismissalReason::MAX
)]
pub struct DismissalReasonError;

impl DismissalReason {
    /// The most Unicode characters of a reason.
    pub const MAX: usize = 1_024;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DismissalReason {
    type Err = DismissalReasonError;

    fn from_str(text: &str) -> Result<Self, DismissalReasonError> {
        let blank = text.trim().is_empty();
        if blank || text.chars().any(char::is_control) || text.chars().count() > Self::MAX {
            return Err(DismissalReasonError);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Why an order to reprocess, dismiss or reopen is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The event has no incident.
    #[error("this event has no incident")]
    NoIncident,
    /// A replay is under way.
    #[error("replay {0} is already under way; wait until it has ended")]
    UnderWay(ReplayId),
    /// The incident is resolved: the effect was applied.
    #[error("this incident is resolved: the effect has been applied")]
    Resolved,
    /// The incident is dismissed.
    #[error("this incident is dismissed; reopen it first")]
    Dismissed,
    /// The incident is not dismissed, so it cannot be reopened.
    #[error("this incident is not dismissed, so there is nothing to reopen")]
    NotDismissed,
    /// The replay before may have been applied, and nobody has confirmed that it should go again.
    #[error(
        "replay {0} ended without a result, and its effect may have been applied; look at the customer's \
         account first, then order it again and say so"
    )]
    MayHaveBeenApplied(ReplayId),
    /// The order key was used for an order about another incident.
    #[error("this order key was used for incident {0}; each order needs a key of its own")]
    OrderKeyTaken(IncidentId),
}

#[cfg(test)]
mod tests {
    use super::*;

    const INCIDENT: IncidentId = IncidentId::from_bytes([1; 16]);
    const OTHER: IncidentId = IncidentId::from_bytes([2; 16]);
    const REPLAY: ReplayId = ReplayId::from_bytes([3; 16]);

    #[test]
    fn the_same_order_sent_twice_gives_the_same_replay() {
        let placed = PlacedOrder {
            incident_id: INCIDENT,
            replay_id: REPLAY,
        };
        assert_eq!(placed.repeated_for(INCIDENT), Ok(REPLAY));
        assert_eq!(placed.repeated_for(OTHER), Err(Refusal::OrderKeyTaken(INCIDENT)));
    }

    #[test]
    fn an_order_key_is_1_to_255_visible_characters() {
        for right in ["k", "\"k\"", &"x".repeat(255)] {
            assert_eq!(right.parse(), Ok(OrderKey(right.to_owned())));
        }
        for wrong in ["", "a b", "tab\t", "é", &"x".repeat(256)] {
            assert_eq!(wrong.parse::<OrderKey>(), Err(OrderKeyError), "{wrong:?}");
        }
    }

    #[test]
    fn a_reason_is_a_line_that_says_something() {
        for right in ["refunded", &"ü".repeat(1_024)] {
            assert_eq!(right.parse::<DismissalReason>().unwrap().as_str(), right);
        }
        for wrong in ["", "  ", "a\nb", "a\u{0}", &"ü".repeat(1_025)] {
            assert_eq!(
                wrong.parse::<DismissalReason>(),
                Err(DismissalReasonError),
                "{wrong:?}"
            );
        }
    }
}

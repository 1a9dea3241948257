//! The order that a project gives once for all: reprocess time-outs without being asked. See `docs/states.md`.

use std::fmt;

use super::{Case, Change, Decision};
use crate::audit::{Action, Origin};
use crate::dedupe;
use crate::event::EventState;
use crate::id::{IncidentId, ReplayId};
use crate::incident::{IncidentReason, IncidentState};
use crate::project::UnaskedOrders;
use crate::replay::{Replay, RetrySchedule};
use crate::time::Timestamp;

/// A project's order to reprocess time-outs without being asked.
///
/// It never repeats what may have been applied: that takes a person. So it is followed where an incident opens by a
/// time-out, and again where the replay before was exhausted and
/// [the endpoint itself turned every attempt away](Replay::was_turned_away); not where that was delivered and brought no result, was
/// halted, or was lost on its way, not after any result, and not once a person has given an order.
#[derive(Debug, Clone, Copy)]
pub struct StandingOrder<'a> {
    /// The most orders for an incident, over its life.
    pub at_most: UnaskedOrders,
    /// The id of the replay that the order makes.
    pub replay_id: ReplayId,
    /// The schedule of its attempts.
    pub schedule: &'a RetrySchedule,
}

/// Names an order of the server's own: the incident, and which order it is, counted from 1.
///
/// It holds spaces, which no [`OrderKey`](super::OrderKey) does, so nobody else's order can have it.
struct UnaskedKey(IncidentId, usize);

impl fmt::Display for UnaskedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unasked {} {}", self.0, self.1)
    }
}

impl Case {
    /// Whether every order so far was the server's own, and no result has come: then a standing order may be followed
    /// once more. Looking this up first spares those who store cases what an order needs besides.
    #[must_use]
    pub fn is_left_to_the_server(&self) -> bool {
        let timed_out = |reason| reason == IncidentReason::Timeout;
        self.event.state == EventState::Pending
            && self.event.has_receipt
            && self
                .incident
                .as_ref()
                .is_none_or(|incident| timed_out(incident.reason))
            && self.replays.iter().all(|replay| replay.unasked)
    }

    /// What a store's unique key holds of the server's latest order, as [`OrderKey::digest`](super::OrderKey::digest)
    /// gives it of a person's: two nodes that follow a standing order at once make one order of it.
    #[must_use]
    pub fn unasked_order_digest(&self) -> Option<[u8; 16]> {
        let incident = self.incident.as_ref()?;
        let latest = self.replays.last().filter(|replay| replay.unasked);
        latest.map(|_| dedupe::digest(&UnaskedKey(incident.id, self.replays.len()).to_string()))
    }
}

impl Decision {
    /// Goes on with the project's standing order, where this decision has just opened an incident to which it applies,
    /// or opened it again: the replay is queued, due at once, and the entries tell of it. Else the decision as it is.
    pub fn and_follow(self, order: &StandingOrder<'_>, origin: &Origin, now: Timestamp) -> Self {
        if !self.opens() || !order.applies_to(&self.case) {
            return self;
        }
        let Self { case, mut entries } = self;
        let number = (case.replays.len() + 1).to_string();
        let replay = Replay {
            unasked: true,
            ..Replay::queue(order.replay_id, order.schedule, now)
        };
        let mut change = Change::to(case, origin, now);
        change.reprocess(replay, &[("unasked", &number)]);
        let ordered = change.decide();
        entries.extend(ordered.entries);
        Self {
            case: ordered.case,
            entries,
        }
    }

    fn opens(&self) -> bool {
        let last = self.entries.last().map(|entry| entry.action);
        matches!(last, Some(Action::IncidentOpened | Action::IncidentReopened))
    }
}

impl StandingOrder<'_> {
    fn applies_to(&self, case: &Case) -> bool {
        let state = case.incident.as_ref().map(|incident| incident.state);
        state == Some(IncidentState::Open)
            && case.is_left_to_the_server()
            && case.replays.len() < self.at_most.number() as usize
            && case.replays.last().is_none_or(Replay::was_turned_away)
    }
}

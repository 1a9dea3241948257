//! A case: an event with its incident and replays, and every rule by which they change together.
//!
//! Each method takes the case as it is stored, and what happened; it gives a [`Decision`]: the case as it
//! should be stored, with the audit entries of that change. The states are drawn in `docs/states.md`.

mod change;
mod order;
mod standing;
#[cfg(test)]
mod tests;

pub use order::{
    DismissalReason, DismissalReasonError, OrderKey, OrderKeyError, PlacedOrder, Refusal, ReprocessOrder,
};
pub use standing::StandingOrder;

use self::change::Change;
use crate::audit::{Action, Draft, Origin};
use crate::event::EventState;
use crate::id::{EventId, IncidentId, ReplayId};
use crate::incident::{Incident, IncidentReason, IncidentState};
use crate::replay::{AttemptOutcome, Effect, Replay, ReplayState, RetryContext};
use crate::time::Timestamp;

/// The part of an event that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventStatus {
    /// Its id.
    pub id: EventId,
    /// What is known of the effect.
    pub state: EventState,
    /// By when a result must come.
    pub timeout_at: Timestamp,
    /// When the sweep should look at it: `timeout_at` until a result comes or the incident is opened, then
    /// `None`, so that work costs what is due and not what is stored.
    pub sweep_at: Option<Timestamp>,
    /// Whether the app has confirmed it. Without, only its provider has told of it.
    pub has_receipt: bool,
}

impl EventStatus {
    /// A newly received event.
    #[must_use]
    pub const fn pending(id: EventId, timeout_at: Timestamp) -> Self {
        Self {
            id,
            state: EventState::Pending,
            timeout_at,
            sweep_at: Some(timeout_at),
            has_receipt: true,
        }
    }

    /// An event of which its provider has told, and the app not yet: its receipt must come by then.
    #[must_use]
    pub const fn announced(id: EventId, timeout_at: Timestamp) -> Self {
        Self {
            has_receipt: false,
            ..Self::pending(id, timeout_at)
        }
    }

    /// The event once its receipt has come, whose result is due by then.
    ///
    /// An event that has its receipt stays as it is. One that needs no sweep any more, for its result came or its
    /// incident is open, needs none after its receipt either: that incident waits for a success.
    #[must_use]
    pub fn receive_receipt(self, timeout_at: Timestamp) -> Self {
        if self.has_receipt {
            return self;
        }
        Self {
            timeout_at,
            sweep_at: self.sweep_at.map(|_| timeout_at),
            has_receipt: true,
            ..self
        }
    }
}

/// An event with its incident and that incident's replays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The event.
    pub event: EventStatus,
    /// Its incident, if it ever had one.
    pub incident: Option<Incident>,
    /// The incident's replays, oldest first; at most one is under way.
    pub replays: Vec<Replay>,
}

/// What is to be stored, in one transaction: the case and the audit entries of its change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    /// The case as it should be.
    pub case: Case,
    /// One entry for each change of an incident's state, in order.
    pub entries: Vec<Draft>,
}

/// A result that the app sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffectReport {
    /// What happened.
    pub effect: Effect,
    /// The replay that it answers, where the app says so.
    pub replay_id: Option<ReplayId>,
}

/// The `replay_id` of a result belongs to another event, or to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("does not belong to this event")]
pub struct ForeignReplay;

impl Case {
    /// A case that is new: the event was just received.
    #[must_use]
    pub const fn new(event: EventStatus) -> Self {
        Self {
            event,
            incident: None,
            replays: Vec::new(),
        }
    }

    /// The replay under way, if there is one.
    #[must_use]
    pub fn replay_under_way(&self) -> Option<&Replay> {
        self.replays.iter().find(|replay| replay.state.is_under_way())
    }

    /// The id of this case's next replay: it sorts after those of the replays before.
    #[must_use]
    pub fn next_replay_id(&self, now: Timestamp, entropy: [u8; 10]) -> ReplayId {
        let last = self.replays.last();
        last.map_or_else(|| ReplayId::new(now, entropy), |last| last.id.next(now, entropy))
    }

    /// A result came.
    ///
    /// A success is final: it resolves the incident from any state and ends a replay under way. A failure
    /// opens the incident if there is none, and ends the replay that it names.
    ///
    /// # Errors
    /// [`ForeignReplay`] where the result names a replay that this event does not have.
    pub fn receive_result(
        self,
        report: EffectReport,
        new_incident: IncidentId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Decision, ForeignReplay> {
        if let Some(named) = report.replay_id
            && self.replays.iter().all(|replay| replay.id != named)
        {
            return Err(ForeignReplay);
        }
        let mut change = Change::to(self, origin, now);
        match report.effect {
            Effect::Success => change.succeed(),
            Effect::Failed => {
                if change.fail(report.replay_id) {
                    change.open(new_incident, IncidentReason::Failed);
                }
            }
        }
        Ok(change.decide())
    }

    /// The sweep found the event at this time: if its result is missing, or its receipt, the incident opens.
    pub fn time_out(self, new_incident: IncidentId, origin: &Origin, now: Timestamp) -> Decision {
        let due = self.event.sweep_at.is_some_and(|due| due <= now);
        let mut change = Change::to(self, origin, now);
        if due {
            change.case.event.sweep_at = None;
            let reason = if change.case.event.has_receipt {
                IncidentReason::Timeout
            } else {
                IncidentReason::MissingReceipt
            };
            change.open(new_incident, reason);
        }
        change.decide()
    }

    /// An operator orders the effect to be run again.
    ///
    /// # Errors
    /// [`Refusal`] unless the incident is open, and the order knows of a replay that may have been applied.
    pub fn reprocess(
        self,
        order: ReprocessOrder<'_>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        self.must_be_open()?;
        if let Some(last) = self.replays.last()
            && last.may_have_been_applied()
            && !order.again
        {
            return Err(Refusal::MayHaveBeenApplied(last.id));
        }
        let mut change = Change::to(self, origin, now);
        change.reprocess(Replay::queue(order.replay_id, order.schedule, now), &[]);
        Ok(change.decide())
    }

    /// An attempt of this replay begins; its number is the replay's `attempts` afterwards.
    ///
    /// Gives `None` unless the replay is queued: one that has ended, or was delivered, is not called. A replay stays
    /// queued during its attempt: the caller holds the attempt as under way, so that no second one begins.
    #[must_use]
    pub fn begin_attempt(mut self, replay_id: ReplayId) -> Option<Self> {
        let queued = |replay: &&mut Replay| replay.id == replay_id && replay.state == ReplayState::Queued;
        self.replays.iter_mut().find(queued)?.attempts += 1;
        Some(self)
    }

    /// An attempt of this replay has ended.
    ///
    /// An end counts while its attempt holds the replay; one that comes later counts, and should be given here,
    /// only where it is a 2xx. A replay that a result has ended meanwhile takes its status and else stays as it
    /// is.
    /// A result that comes with a 2xx answer counts like one that is sent: the replay's own.
    pub fn end_attempt(
        self,
        replay_id: ReplayId,
        outcome: AttemptOutcome,
        retry: &RetryContext<'_>,
        origin: &Origin,
    ) -> Decision {
        let known = self.replays.iter().any(|replay| replay.id == replay_id);
        let mut change = Change::to(self, origin, retry.ended_at);
        if known {
            change.take_outcome(replay_id, outcome, retry);
            match outcome.reported_effect() {
                Some(Effect::Success) => change.succeed(),
                Some(Effect::Failed) => {
                    change.fail(Some(replay_id));
                }
                None => {}
            }
        }
        change.decide()
    }

    /// The time is over in which a delivered replay should have brought its result.
    pub fn miss_answer(self, origin: &Origin, now: Timestamp) -> Decision {
        let mut change = Change::to(self, origin, now);
        change.miss_answer();
        change.decide()
    }

    /// A person puts the incident aside.
    ///
    /// # Errors
    /// [`Refusal`] unless the incident is open.
    pub fn dismiss(
        self,
        reason: &DismissalReason,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        self.must_be_open()?;
        let mut change = Change::to(self, origin, now);
        change.turn(
            IncidentState::Dismissed,
            Action::IncidentDismissed,
            &[("reason", reason.as_str())],
        );
        Ok(change.decide())
    }

    /// A person opens a dismissed incident again.
    ///
    /// # Errors
    /// [`Refusal`] unless the incident is dismissed.
    pub fn reopen(self, origin: &Origin, now: Timestamp) -> Result<Decision, Refusal> {
        match self.incident.as_ref().map(|incident| incident.state) {
            None => return Err(Refusal::NoIncident),
            Some(IncidentState::Dismissed) => {}
            Some(_) => return Err(Refusal::NotDismissed),
        }
        let mut change = Change::to(self, origin, now);
        change.turn(IncidentState::Open, Action::IncidentReopened, &[]);
        Ok(change.decide())
    }

    fn must_be_open(&self) -> Result<(), Refusal> {
        if let Some(replay) = self.replay_under_way() {
            return Err(Refusal::UnderWay(replay.id));
        }
        match self.incident.as_ref().map(|incident| incident.state) {
            None => Err(Refusal::NoIncident),
            Some(IncidentState::Resolved) => Err(Refusal::Resolved),
            Some(IncidentState::Dismissed) => Err(Refusal::Dismissed),
            Some(IncidentState::Open | IncidentState::Reprocessing) => Ok(()),
        }
    }
}

//! A case: an event with its incident and replays, and every rule by which they change together.
//!
//! Each method takes the case as it is stored, and what happened; it gives a [`Decision`]: the case as it
//! should be stored, with the audit entries of that change. The states are drawn in `docs/states.md`.

use crate::audit::{Action, Draft, Origin};
use crate::event::EventState;
use crate::id::{EventId, IncidentId, ReplayId};
use crate::incident::{Incident, IncidentReason, IncidentState};
use crate::replay::{AttemptOutcome, Effect, OutcomeClass, Replay, ReplayState, RetryContext, RetrySchedule};
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

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
    /// The incident's replays, oldest first; only the last can be under way.
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
}

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
        self.replays.last().filter(|replay| replay.state.is_under_way())
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
            Effect::Failed => change.fail(report.replay_id, new_incident),
        }
        Ok(change.decide())
    }

    /// The sweep found the event at this time: if its result is missing, the incident opens.
    pub fn time_out(self, new_incident: IncidentId, origin: &Origin, now: Timestamp) -> Decision {
        let due = self.event.sweep_at.is_some_and(|due| due <= now);
        let mut change = Change::to(self, origin, now);
        if due {
            change.case.event.sweep_at = None;
            change.open(new_incident, IncidentReason::Timeout);
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
        change
            .case
            .replays
            .push(Replay::queue(order.replay_id, order.schedule, now));
        let replay_id = order.replay_id.to_string();
        change.turn(
            IncidentState::Reprocessing,
            Action::IncidentReprocessed,
            &[("replay_id", &replay_id)],
        );
        Ok(change.decide())
    }

    /// An attempt of the latest replay begins; its number is the replay's `attempts` afterwards.
    ///
    /// Does nothing unless that replay is queued.
    #[must_use]
    pub fn begin_attempt(mut self) -> Self {
        if let Some(replay) = self.replays.last_mut()
            && replay.state == ReplayState::Queued
        {
            replay.attempts += 1;
        }
        self
    }

    /// An attempt of this replay has ended.
    ///
    /// A replay that has ended meanwhile, by a result, stays as it is. A result that comes with a 2xx answer
    /// counts as the replay's own.
    pub fn end_attempt(
        self,
        replay_id: ReplayId,
        outcome: AttemptOutcome,
        retry: &RetryContext<'_>,
        origin: &Origin,
    ) -> Decision {
        let mut change = Change::to(self, origin, retry.ended_at);
        if let Some(replay) = change.case.replays.last_mut()
            && replay.id == replay_id
            && replay.state == ReplayState::Queued
        {
            replay.take_outcome(outcome, retry);
            change.settle_replay();
            change.take_answer(outcome, replay_id);
        }
        change.decide()
    }

    /// The time is over in which a delivered replay should have brought its result.
    pub fn miss_answer(self, origin: &Origin, now: Timestamp) -> Decision {
        let mut change = Change::to(self, origin, now);
        if let Some(replay) = change.case.replays.last_mut()
            && replay.answer_due_at.is_some_and(|due| due <= now)
        {
            replay.end(ReplayState::Unanswered);
            change.settle_replay();
        }
        change.decide()
    }

    /// A person puts the incident aside.
    ///
    /// # Errors
    /// [`Refusal`] unless the incident is open.
    pub fn dismiss(self, reason: &str, origin: &Origin, now: Timestamp) -> Result<Decision, Refusal> {
        self.must_be_open()?;
        let mut change = Change::to(self, origin, now);
        change.turn(
            IncidentState::Dismissed,
            Action::IncidentDismissed,
            &[("reason", reason)],
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
        match self.incident.as_ref().map(|incident| incident.state) {
            None => Err(Refusal::NoIncident),
            Some(IncidentState::Open) => Ok(()),
            Some(IncidentState::Resolved) => Err(Refusal::Resolved),
            Some(IncidentState::Dismissed) => Err(Refusal::Dismissed),
            Some(IncidentState::Reprocessing) => Err(self
                .replay_under_way()
                .map_or(Refusal::NoIncident, |replay| Refusal::UnderWay(replay.id))),
        }
    }
}

/// A case while it changes, with the entries that the change needs: the one place where an incident's state
/// is set, so that none is set without its entry.
struct Change<'a> {
    case: Case,
    entries: Vec<Draft>,
    origin: &'a Origin,
    now: Timestamp,
}

impl<'a> Change<'a> {
    const fn to(case: Case, origin: &'a Origin, now: Timestamp) -> Self {
        Self {
            case,
            entries: Vec::new(),
            origin,
            now,
        }
    }

    fn decide(self) -> Decision {
        Decision {
            case: self.case,
            entries: self.entries,
        }
    }

    fn succeed(&mut self) {
        self.case.event.state = EventState::Succeeded;
        self.case.event.sweep_at = None;
        if let Some(replay) = self.case.replays.last_mut()
            && replay.state.is_under_way()
        {
            replay.end(ReplayState::Succeeded);
        }
        self.turn(IncidentState::Resolved, Action::IncidentResolved, &[]);
    }

    fn fail(&mut self, named: Option<ReplayId>, new_incident: IncidentId) {
        if self.case.event.state == EventState::Succeeded {
            return;
        }
        self.case.event.state = EventState::Failed;
        self.case.event.sweep_at = None;
        self.open(new_incident, IncidentReason::Failed);
        if let Some(replay) = self.case.replays.last_mut()
            && named == Some(replay.id)
            && replay.state.is_under_way()
        {
            replay.end(ReplayState::Failed);
            self.settle_replay();
        }
    }

    /// A result that came with the answer to the callback itself.
    fn take_answer(&mut self, outcome: AttemptOutcome, replay_id: ReplayId) {
        let AttemptOutcome::Answered {
            effect: Some(effect), ..
        } = outcome
        else {
            return;
        };
        if outcome.class() != OutcomeClass::Delivered {
            return;
        }
        match effect {
            Effect::Success => self.succeed(),
            Effect::Failed => {
                // A replay has an incident, so no new one is opened, and this id is never used.
                let Some(incident) = self.case.incident.as_ref().map(|incident| incident.id) else {
                    return;
                };
                self.fail(Some(replay_id), incident);
            }
        }
    }

    /// Opens the incident unless there is one.
    fn open(&mut self, id: IncidentId, reason: IncidentReason) {
        if self.case.incident.is_none() {
            self.case.incident = Some(Incident::open(id, reason, self.now));
            self.enter(Action::IncidentOpened, id, &[("reason", reason.as_str())]);
        }
    }

    /// Brings the incident back to open where its replay has ended without success.
    fn settle_replay(&mut self) {
        let Some(replay) = self.case.replays.last() else {
            return;
        };
        let reprocessing = self
            .case
            .incident
            .as_ref()
            .is_some_and(|incident| incident.state == IncidentState::Reprocessing);
        if reprocessing && !replay.state.is_under_way() {
            let (id, state) = (replay.id.to_string(), replay.state.as_str());
            self.turn(
                IncidentState::Open,
                Action::IncidentReopened,
                &[("replay_id", &id), ("replay_state", state)],
            );
        }
    }

    fn turn(&mut self, state: IncidentState, action: Action, more: &[(&str, &str)]) {
        let Some(incident) = self.case.incident.as_mut() else {
            return;
        };
        if incident.state == state {
            return;
        }
        incident.state = state;
        incident.resolved_at = (state == IncidentState::Resolved).then_some(self.now);
        let id = incident.id;
        self.enter(action, id, more);
    }

    fn enter(&mut self, action: Action, target: IncidentId, more: &[(&str, &str)]) {
        self.entries.push(Draft::new(self.origin, action, target, more));
    }
}

//! A case while it changes.

use super::{Case, Decision};
use crate::audit::{Action, Draft, Origin};
use crate::event::EventState;
use crate::id::{IncidentId, ReplayId};
use crate::incident::{Incident, IncidentReason, IncidentState};
use crate::replay::{AttemptOutcome, Replay, ReplayState, RetryContext};
use crate::time::Timestamp;

/// A case while it changes, with the entries that the change needs: the one place where an incident's state
/// is set, so that none is set without its entry.
pub(super) struct Change<'a> {
    pub(super) case: Case,
    entries: Vec<Draft>,
    origin: &'a Origin,
    now: Timestamp,
}

impl<'a> Change<'a> {
    pub(super) const fn to(case: Case, origin: &'a Origin, now: Timestamp) -> Self {
        Self {
            case,
            entries: Vec::new(),
            origin,
            now,
        }
    }

    pub(super) fn decide(self) -> Decision {
        Decision {
            case: self.case,
            entries: self.entries,
        }
    }

    /// Queues a replay, of whose order the audit entry tells this besides.
    pub(super) fn reprocess(&mut self, replay: Replay, more: &[(&str, &str)]) {
        let replay_id = replay.id.to_string();
        self.case.replays.push(replay);
        let details = [&[("replay_id", replay_id.as_str())][..], more].concat();
        self.turn(IncidentState::Reprocessing, Action::IncidentReprocessed, &details);
    }

    pub(super) fn succeed(&mut self) {
        self.case.event.state = EventState::Succeeded;
        self.case.event.sweep_at = None;
        if let Some(replay) = self.replay_under_way() {
            replay.end(ReplayState::Succeeded);
        }
        self.turn(IncidentState::Resolved, Action::IncidentResolved, &[]);
    }

    /// Gives whether the failure counts: after a success none does.
    pub(super) fn fail(&mut self, named: Option<ReplayId>) -> bool {
        if self.case.event.state == EventState::Succeeded {
            return false;
        }
        self.case.event.state = EventState::Failed;
        self.case.event.sweep_at = None;
        if let Some(replay) = self.replay_under_way()
            && named == Some(replay.id)
        {
            replay.end(ReplayState::Failed);
            let id = replay.id;
            self.settle(id);
        }
        true
    }

    pub(super) fn take_outcome(&mut self, id: ReplayId, outcome: AttemptOutcome, retry: &RetryContext<'_>) {
        if let Some(replay) = self.case.replays.iter_mut().find(|replay| replay.id == id) {
            replay.take_outcome(outcome, retry);
            self.settle(id);
        }
    }

    pub(super) fn miss_answer(&mut self) {
        let now = self.now;
        if let Some(replay) = self.replay_under_way()
            && replay.answer_due_at.is_some_and(|due| due <= now)
        {
            replay.end(ReplayState::Unanswered);
            let id = replay.id;
            self.settle(id);
        }
    }

    fn replay_under_way(&mut self) -> Option<&mut Replay> {
        let mut replays = self.case.replays.iter_mut();
        replays.find(|replay| replay.state.is_under_way())
    }

    /// Opens the incident unless there is one.
    pub(super) fn open(&mut self, id: IncidentId, reason: IncidentReason) {
        if self.case.incident.is_none() {
            self.case.incident = Some(Incident::open(id, reason, self.now));
            self.enter(Action::IncidentOpened, id, &[("reason", reason.as_str())]);
        }
    }

    /// Brings the incident back to open where this replay has ended without success.
    fn settle(&mut self, id: ReplayId) {
        let incident = self.case.incident.as_ref();
        let reprocessing = incident.is_some_and(|incident| incident.state == IncidentState::Reprocessing);
        if !reprocessing || self.case.replay_under_way().is_some() {
            return;
        }
        let ended = self.case.replays.iter().find(|replay| replay.id == id);
        let state = ended.map_or("", |replay| replay.state.as_str());
        self.turn(
            IncidentState::Open,
            Action::IncidentReopened,
            &[("replay_id", &id.to_string()), ("replay_state", state)],
        );
    }

    pub(super) fn turn(&mut self, state: IncidentState, action: Action, more: &[(&str, &str)]) {
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

//! What the documentation says of a case, stupid and plainly right: it writes down what happened, and works
//! every answer out from that, anew each time.
//!
//! It shares no rule with the code that it stands against, only words and ids.

use super::super::{Effect, Refusal};
use super::story::{ANSWER, TIMEOUT};
use crate::event::EventState;
use crate::id::ReplayId;
use crate::incident::{IncidentReason, IncidentState};
use crate::replay::{AttemptOutcome, ReplayState};
use crate::time::{MINUTE_MS, Timestamp};

/// The schedule: at once, after a minute, after ten.
pub(super) const SCHEDULE: [i64; 3] = [0, MINUTE_MS, 10 * MINUTE_MS];

#[derive(Debug, Clone)]
pub(super) struct Model {
    received_at: Timestamp,
    /// Results in the order in which they came.
    results: Vec<(Timestamp, Effect)>,
    /// When, and why, the incident was opened.
    opened: Option<(Timestamp, IncidentReason)>,
    /// Dismissals and reopenings: the last one counts.
    put_aside: Vec<bool>,
    replays: Vec<Ordered>,
}

/// A replay: its order, and what came of it.
#[derive(Debug, Clone)]
struct Ordered {
    id: ReplayId,
    at: Timestamp,
    /// Whether the server ordered it by itself.
    unasked: bool,
    begun: u32,
    /// Outcomes that counted: those that came while it was queued.
    outcomes: Vec<(Timestamp, AttemptOutcome)>,
    /// The result that ended it, or the end of its time.
    ended: Option<ReplayState>,
    /// The status of an attempt that ended after a result had ended the replay.
    late_status: Option<Option<u16>>,
}

/// What can be seen of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenReplay {
    pub(super) id: ReplayId,
    pub(super) state: ReplayState,
    pub(super) attempts: u32,
    pub(super) last_status: Option<u16>,
    pub(super) next_attempt_at: Option<Timestamp>,
    pub(super) answer_due_at: Option<Timestamp>,
    pub(super) unasked: bool,
}

/// What can be seen of an incident: state, reason, when it was opened, when it was resolved.
pub(super) type SeenIncident = (IncidentState, IncidentReason, Timestamp, Option<Timestamp>);

impl Model {
    pub(super) const fn received(at: Timestamp) -> Self {
        Self {
            received_at: at,
            results: Vec::new(),
            opened: None,
            put_aside: Vec::new(),
            replays: Vec::new(),
        }
    }

    /// When the first success came. It is final.
    fn succeeded_at(&self) -> Option<Timestamp> {
        let success = self.results.iter().find(|(_, effect)| *effect == Effect::Success);
        success.map(|(at, _)| *at)
    }

    pub(super) fn event(&self) -> EventState {
        match (self.succeeded_at(), self.results.is_empty()) {
            (Some(_), _) => EventState::Succeeded,
            (None, false) => EventState::Failed,
            (None, true) => EventState::Pending,
        }
    }

    pub(super) fn incident(&self) -> Option<SeenIncident> {
        let (opened_at, reason) = self.opened?;
        let under_way = self.replays.iter().any(|replay| replay.state().is_under_way());
        let state = match (self.succeeded_at(), self.put_aside.last(), under_way) {
            (Some(_), _, _) => IncidentState::Resolved,
            (None, Some(true), _) => IncidentState::Dismissed,
            (None, _, true) => IncidentState::Reprocessing,
            (None, _, false) => IncidentState::Open,
        };
        Some((state, reason, opened_at, self.succeeded_at()))
    }

    pub(super) fn replays(&self) -> Vec<SeenReplay> {
        self.replays.iter().map(Ordered::seen).collect()
    }

    pub(super) fn result(&mut self, effect: Effect, named: Option<ReplayId>, now: Timestamp) {
        if self.succeeded_at().is_some() {
            return;
        }
        self.results.push((now, effect));
        for replay in self
            .replays
            .iter_mut()
            .filter(|replay| replay.state().is_under_way())
        {
            match effect {
                Effect::Success => replay.ended = Some(ReplayState::Succeeded),
                Effect::Failed if named == Some(replay.id) => replay.ended = Some(ReplayState::Failed),
                Effect::Failed => {}
            }
        }
        if effect == Effect::Failed && self.opened.is_none() {
            self.opened = Some((now, IncidentReason::Failed));
        }
    }

    pub(super) fn sweep(&mut self, now: Timestamp) {
        let over = now >= self.received_at.plus_minutes(TIMEOUT);
        if over && self.results.is_empty() && self.opened.is_none() {
            self.opened = Some((now, IncidentReason::Timeout));
        }
    }

    pub(super) fn order(&mut self, id: ReplayId, again: bool, now: Timestamp) -> Result<(), Refusal> {
        self.refuse_unless_open()?;
        if let Some(before) = self.replays.last()
            && before.may_have_been_applied()
            && !again
        {
            return Err(Refusal::MayHaveBeenApplied(before.id));
        }
        self.replays.push(Ordered::new(id, now, false));
        Ok(())
    }

    /// The server's own order, after something that happened while the incident was in this state.
    pub(super) fn follow(&mut self, was: Option<IncidentState>, at_most: u32, id: ReplayId, now: Timestamp) {
        let Some((IncidentState::Open, IncidentReason::Timeout, ..)) = self.incident() else {
            return;
        };
        let opened_now = matches!(was, None | Some(IncidentState::Reprocessing));
        let by_people = self.replays.iter().any(|replay| !replay.unasked);
        let turned_away = self.replays.iter().all(Ordered::was_turned_away);
        let room = self.replays.len() < at_most as usize;
        if opened_now && !by_people && turned_away && room && self.results.is_empty() {
            self.replays.push(Ordered::new(id, now, true));
        }
    }

    /// Gives whether the attempt may be made.
    pub(super) fn begin(&mut self, id: ReplayId) -> bool {
        match self.replays.iter_mut().find(|replay| replay.id == id) {
            Some(replay) if replay.state() == ReplayState::Queued => {
                replay.begun += 1;
                true
            }
            _ => false,
        }
    }

    pub(super) fn end(&mut self, id: ReplayId, outcome: AttemptOutcome, now: Timestamp) {
        let Some(replay) = self.replays.iter_mut().find(|replay| replay.id == id) else {
            return;
        };
        let by_result = matches!(replay.ended, Some(ReplayState::Succeeded | ReplayState::Failed));
        if replay.state() == ReplayState::Queued {
            replay.outcomes.push((now, outcome));
        } else if by_result {
            replay.late_status = Some(outcome.status());
        }
        if let AttemptOutcome::Answered {
            status: 200..=299,
            effect: Some(effect),
            ..
        } = outcome
        {
            self.result(effect, Some(id), now);
        }
    }

    pub(super) fn miss_answer(&mut self, now: Timestamp) {
        for replay in &mut self.replays {
            if replay.seen().answer_due_at.is_some_and(|due| due <= now) {
                replay.ended = Some(ReplayState::Unanswered);
            }
        }
    }

    pub(super) fn dismiss(&mut self) -> Result<(), Refusal> {
        self.refuse_unless_open()?;
        self.put_aside.push(true);
        Ok(())
    }

    pub(super) fn reopen(&mut self) -> Result<(), Refusal> {
        match self.incident() {
            None => Err(Refusal::NoIncident),
            Some((IncidentState::Dismissed, ..)) => {
                self.put_aside.push(false);
                Ok(())
            }
            Some(_) => Err(Refusal::NotDismissed),
        }
    }

    fn refuse_unless_open(&self) -> Result<(), Refusal> {
        let under_way = self.replays.iter().find(|replay| replay.state().is_under_way());
        match (self.incident(), under_way) {
            (None, _) => Err(Refusal::NoIncident),
            (Some((IncidentState::Resolved, ..)), _) => Err(Refusal::Resolved),
            (Some((IncidentState::Dismissed, ..)), _) => Err(Refusal::Dismissed),
            (Some(_), Some(replay)) => Err(Refusal::UnderWay(replay.id)),
            (Some(_), None) => Ok(()),
        }
    }
}

impl Ordered {
    const fn new(id: ReplayId, at: Timestamp, unasked: bool) -> Self {
        Self {
            id,
            at,
            unasked,
            begun: 0,
            outcomes: Vec::new(),
            ended: None,
            late_status: None,
        }
    }

    /// Every attempt was answered by the endpoint itself, and no more are made.
    fn was_turned_away(&self) -> bool {
        let of_its_own = |outcome: AttemptOutcome| matches!(outcome.status(), Some(500 | 501 | 505..));
        self.state() == ReplayState::Exhausted
            && self.outcomes.iter().all(|(_, outcome)| of_its_own(*outcome))
    }

    fn state(&self) -> ReplayState {
        if let Some(ended) = self.ended {
            return ended;
        }
        match self.outcomes.last() {
            Some((_, AttemptOutcome::Answered { status, .. })) if (200..300).contains(status) => {
                ReplayState::Delivered
            }
            Some((_, AttemptOutcome::Answered { status, .. })) if !(500..600).contains(status) => {
                ReplayState::Halted
            }
            Some((_, AttemptOutcome::Refused | AttemptOutcome::PayloadGone)) => ReplayState::Halted,
            _ if self.steps() >= SCHEDULE.len() => ReplayState::Exhausted,
            _ => ReplayState::Queued,
        }
    }

    /// Each attempt costs a step, except the first two of those that were cut off in a row.
    fn steps(&self) -> usize {
        (0..self.outcomes.len())
            .filter(|index| !self.is_free(*index))
            .count()
    }

    fn is_free(&self, index: usize) -> bool {
        let cut_off = |(_, outcome): &&(Timestamp, AttemptOutcome)| *outcome == AttemptOutcome::CutOff;
        let row = self.outcomes[..=index].iter().rev().take_while(cut_off).count();
        (1..=2).contains(&row)
    }

    fn next_attempt_at(&self) -> Timestamp {
        let Some((ended_at, outcome)) = self.outcomes.last() else {
            return self.at.plus_millis(SCHEDULE[0]);
        };
        if self.is_free(self.outcomes.len() - 1) {
            return *ended_at;
        }
        let step = ended_at.plus_millis(SCHEDULE[self.steps()]);
        match outcome {
            AttemptOutcome::Answered {
                retry_after: Some(asked),
                ..
            } => step.max(ended_at.plus(*asked)),
            _ => step,
        }
    }

    /// Without a result, and an attempt was taken, cut off, or lost to a network error.
    fn may_have_been_applied(&self) -> bool {
        let lost = |outcome| matches!(outcome, AttemptOutcome::CutOff | AttemptOutcome::NetworkError);
        match self.state() {
            ReplayState::Unanswered => true,
            ReplayState::Halted | ReplayState::Exhausted => {
                self.outcomes.iter().any(|(_, outcome)| lost(*outcome))
            }
            _ => false,
        }
    }

    fn seen(&self) -> SeenReplay {
        let state = self.state();
        let last_status = self.outcomes.last().and_then(|(_, outcome)| outcome.status());
        SeenReplay {
            id: self.id,
            state,
            attempts: self.begun,
            last_status: self.late_status.unwrap_or(last_status),
            next_attempt_at: (state == ReplayState::Queued).then(|| self.next_attempt_at()),
            answer_due_at: match (state, self.outcomes.last()) {
                (ReplayState::Delivered, Some((taken_at, _))) => Some(taken_at.plus_minutes(ANSWER)),
                _ => None,
            },
            unasked: self.unasked,
        }
    }
}

//! A case that things happen to, for tests that tell a rule as a story.

use std::time::Duration;

use super::super::*;
use crate::project::UnaskedOrders;
use crate::replay::{Jitter, RetrySchedule};

pub(super) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// The minutes that the event's result may take.
pub(super) const TIMEOUT: u32 = 30;
/// The minutes that a delivered replay waits for its result.
pub(super) const ANSWER: u32 = 20;

pub(super) const INCIDENT: IncidentId = IncidentId::from_bytes([1; 16]);

pub(super) fn replay_id(number: u8) -> ReplayId {
    ReplayId::from_bytes([number; 16])
}

pub(super) fn reason() -> DismissalReason {
    "refunded".parse().unwrap()
}

/// An answer of this status with nothing beside it.
pub(super) const fn status(status: u16) -> AttemptOutcome {
    AttemptOutcome::Answered {
        status,
        retry_after: None,
        effect: None,
    }
}

/// An answer of this status that reports a result.
pub(super) const fn answer_with(status: u16, effect: Effect) -> AttemptOutcome {
    AttemptOutcome::Answered {
        status,
        retry_after: None,
        effect: Some(effect),
    }
}

/// A case, the time, and the audit entries so far.
pub(super) struct Story {
    pub(super) case: Case,
    pub(super) now: Timestamp,
    pub(super) entries: Vec<Draft>,
    pub(super) schedule: RetrySchedule,
    /// What the project lets the server order unasked.
    pub(super) at_most: UnaskedOrders,
}

impl Story {
    /// An event was received.
    pub(super) fn received() -> Self {
        let event = EventStatus::pending(EventId::from_bytes([9; 16]), START.plus_minutes(TIMEOUT));
        Self {
            case: Case::new(event),
            now: START,
            entries: Vec::new(),
            schedule: RetrySchedule::default(),
            at_most: UnaskedOrders::default(),
        }
    }

    /// An event was received, and its incident is open, for its result did not come.
    pub(super) fn overdue() -> Self {
        let mut story = Self::received();
        story.wait(TIMEOUT).sweep();
        story
    }

    /// The same, and replay 1 was ordered.
    pub(super) fn reprocessing() -> Self {
        let mut story = Self::overdue();
        story.order(1).unwrap();
        story
    }

    /// The same, and the endpoint answered 200.
    pub(super) fn delivered() -> Self {
        let mut story = Self::reprocessing();
        story.attempt(status(200));
        story
    }

    /// An event was received in a project that has time-outs reprocessed unasked, and its time is over.
    pub(super) fn unasked(at_most: &str) -> Self {
        let mut story = Self::received();
        story.at_most = at_most.parse().unwrap();
        story.wait(TIMEOUT).sweep();
        story
    }

    pub(super) fn wait(&mut self, minutes: u32) -> &mut Self {
        self.now = self.now.plus_minutes(minutes);
        self
    }

    pub(super) fn result(&mut self, effect: Effect, named: Option<u8>) -> &mut Self {
        let report = EffectReport {
            effect,
            replay_id: named.map(replay_id),
        };
        let case = self.case.clone();
        let decision = case.receive_result(report, INCIDENT, &origin(), self.now);
        self.take(decision.unwrap())
    }

    pub(super) fn success(&mut self) -> &mut Self {
        self.result(Effect::Success, None)
    }

    pub(super) fn sweep(&mut self) -> &mut Self {
        let decision = self.case.clone().time_out(INCIDENT, &origin(), self.now);
        self.take_and_follow(decision)
    }

    pub(super) fn order(&mut self, number: u8) -> Result<&mut Self, Refusal> {
        self.order_with(number, false)
    }

    pub(super) fn order_again(&mut self, number: u8) -> Result<&mut Self, Refusal> {
        self.order_with(number, true)
    }

    fn order_with(&mut self, number: u8, again: bool) -> Result<&mut Self, Refusal> {
        let order = ReprocessOrder {
            replay_id: replay_id(number),
            again,
            schedule: &self.schedule,
        };
        let decision = self.case.clone().reprocess(order, &origin(), self.now)?;
        Ok(self.take(decision))
    }

    pub(super) fn begin(&mut self) -> &mut Self {
        let latest = self.latest().id;
        self.case = self.case.clone().begin_attempt(latest).expect("it is queued");
        self
    }

    pub(super) fn end(&mut self, replay: ReplayId, outcome: AttemptOutcome) -> &mut Self {
        let retry = RetryContext {
            schedule: &self.schedule,
            jitter: Jitter::NONE,
            ended_at: self.now,
            answer_minutes: ANSWER,
        };
        let decision = self.case.clone().end_attempt(replay, outcome, &retry, &origin());
        self.take_and_follow(decision)
    }

    pub(super) fn attempt(&mut self, outcome: AttemptOutcome) -> &mut Self {
        let latest = self.latest().id;
        self.begin().end(latest, outcome)
    }

    pub(super) fn miss_answer(&mut self) -> &mut Self {
        let decision = self.case.clone().miss_answer(&origin(), self.now);
        self.take_and_follow(decision)
    }

    pub(super) fn dismiss(&mut self) -> Result<&mut Self, Refusal> {
        let decision = self.case.clone().dismiss(&reason(), &origin(), self.now)?;
        Ok(self.take(decision))
    }

    pub(super) fn reopen(&mut self) -> Result<&mut Self, Refusal> {
        let decision = self.case.clone().reopen(&origin(), self.now)?;
        Ok(self.take(decision))
    }

    /// Takes what a worker has decided on. The server's own orders are numbered from 101 on.
    fn take_and_follow(&mut self, decision: Decision) -> &mut Self {
        let schedule = self.schedule.clone();
        let order = StandingOrder {
            at_most: self.at_most,
            replay_id: replay_id(101 + self.case.replays.len() as u8),
            schedule: &schedule,
        };
        let decision = decision.and_follow(&order, &origin(), self.now);
        self.take(decision)
    }

    fn take(&mut self, decision: Decision) -> &mut Self {
        self.case = decision.case;
        self.entries.extend(decision.entries);
        self
    }

    pub(super) fn incident(&self) -> IncidentState {
        self.case.incident.as_ref().expect("there is an incident").state
    }

    pub(super) fn latest(&self) -> &Replay {
        self.case.replays.last().expect("there is a replay")
    }

    pub(super) fn replay(&self) -> ReplayState {
        self.latest().state
    }

    /// How long from now until the next attempt is due.
    pub(super) fn next_in(&self) -> Option<Duration> {
        self.latest().next_attempt_at.map(|due| due.since(self.now))
    }

    pub(super) fn actions(&self) -> Vec<Action> {
        self.entries.iter().map(|entry| entry.action).collect()
    }
}

pub(super) fn origin() -> Origin {
    Origin::system("test")
}

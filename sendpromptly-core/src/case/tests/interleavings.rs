//! Whatever happens to an event, in whatever order: the code and its model agree, and what must always hold
//! holds.

use std::time::Duration;

use proptest::prelude::*;

use super::super::*;
use super::model::{Model, SCHEDULE, SeenReplay};
use super::story::{ANSWER, INCIDENT, START, TIMEOUT, origin, reason, replay_id};
use crate::dedupe::{ReceiptFacts, differs};
use crate::event::EffectType;
use crate::project::UnaskedOrders;
use crate::replay::{Jitter, RetrySchedule};

#[derive(Debug, Clone, Copy)]
enum Happening {
    Receipt(EffectType),
    Wait(u32),
    Sweep,
    Result(Effect, Named),
    Order { again: bool },
    Begin(Named),
    End(Named, AttemptOutcome),
    MissAnswer,
    Dismiss,
    Reopen,
}

/// Which replay is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Named {
    None,
    Latest,
    First,
    Foreign,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let named = prop_oneof![
        4 => Just(Named::Latest),
        1 => Just(Named::None),
        1 => Just(Named::First),
        1 => Just(Named::Foreign),
    ];
    let effect = prop_oneof![1 => Just(Effect::Success), 4 => Just(Effect::Failed)];
    let receipt = prop_oneof![Just(EffectType::AccessUnlock), Just(EffectType::CreditGrant)];
    let happening = prop_oneof![
        1 => receipt.prop_map(Happening::Receipt),
        3 => prop_oneof![Just(0), Just(1), Just(10), Just(ANSWER), Just(TIMEOUT)].prop_map(Happening::Wait),
        2 => Just(Happening::Sweep),
        2 => (effect, named.clone()).prop_map(|(effect, named)| Happening::Result(effect, named)),
        4 => any::<bool>().prop_map(|again| Happening::Order { again }),
        3 => named.clone().prop_map(Happening::Begin),
        5 => (named, outcome()).prop_map(|(named, outcome)| Happening::End(named, outcome)),
        2 => Just(Happening::MissAnswer),
        1 => Just(Happening::Dismiss),
        1 => Just(Happening::Reopen),
    ];
    proptest::collection::vec(happening, 0..60)
}

fn outcome() -> impl Strategy<Value = AttemptOutcome> {
    let effect = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Effect::Success)),
        2 => Just(Some(Effect::Failed))
    ];
    let asked = prop_oneof![
        Just(None),
        (0..900_u64).prop_map(|secs| Some(Duration::from_secs(secs)))
    ];
    let answered = (
        prop_oneof![4 => 500..506_u16, 2 => 500..600_u16, 2 => 200..300_u16, 1 => 100..700_u16],
        asked,
        effect,
    );
    prop_oneof![
        8 => answered.prop_map(|(status, retry_after, effect)| AttemptOutcome::Answered {
            status,
            retry_after,
            effect
        }),
        2 => Just(AttemptOutcome::NetworkError),
        4 => Just(AttemptOutcome::CutOff),
        1 => Just(AttemptOutcome::Refused),
        1 => Just(AttemptOutcome::PayloadGone),
    ]
}

/// An event in the code and in the model, side by side.
struct Pair {
    case: Case,
    model: Model,
    first: EffectType,
    now: Timestamp,
    schedule: RetrySchedule,
    orders: u8,
    at_most: UnaskedOrders,
}

impl Pair {
    fn received(first: EffectType, at_most: UnaskedOrders) -> Self {
        let event = EventStatus::pending(EventId::from_bytes([9; 16]), START.plus_minutes(TIMEOUT));
        Self {
            case: Case::new(event),
            model: Model::received(START),
            first,
            now: START,
            schedule: RetrySchedule::new(&SCHEDULE.map(|ms| Duration::from_millis(ms as u64))).unwrap(),
            orders: 0,
            at_most,
        }
    }

    fn id(&self, named: Named) -> Option<ReplayId> {
        match named {
            Named::None => None,
            Named::Latest => self.case.replays.last().map(|replay| replay.id),
            Named::First => self.case.replays.first().map(|replay| replay.id),
            Named::Foreign => Some(replay_id(255)),
        }
    }

    /// Lets it happen to both; gives the audit entries.
    fn happen(&mut self, happening: Happening) -> Result<Vec<Draft>, TestCaseError> {
        let (case, now, origin) = (self.case.clone(), self.now, origin());
        match happening {
            Happening::Receipt(effect_type) => self.receive_again(effect_type),
            Happening::Result(effect, named) => self.result(effect, self.id(named)),
            Happening::Order { again } => self.order(again),
            Happening::Begin(named) => self.begin(named),
            Happening::End(named, outcome) => Ok(self.end(named, outcome)),
            Happening::Wait(minutes) => {
                self.now = now.plus_minutes(minutes);
                Ok(Vec::new())
            }
            Happening::Sweep => {
                let was = self.incident_state();
                self.model.sweep(now);
                Ok(self.store_and_follow(was, case.time_out(INCIDENT, &origin, now)))
            }
            Happening::MissAnswer => {
                let was = self.incident_state();
                self.model.miss_answer(now);
                Ok(self.store_and_follow(was, case.miss_answer(&origin, now)))
            }
            Happening::Dismiss => {
                let expected = self.model.dismiss();
                self.obey(case.dismiss(&reason(), &origin, now), expected)
            }
            Happening::Reopen => {
                let expected = self.model.reopen();
                self.obey(case.reopen(&origin, now), expected)
            }
        }
    }

    /// An order is carried out, or refused by both for one reason.
    fn obey(
        &mut self,
        decision: Result<Decision, Refusal>,
        expected: Result<(), Refusal>,
    ) -> Result<Vec<Draft>, TestCaseError> {
        prop_assert_eq!(decision.as_ref().err().copied(), expected.err());
        Ok(decision.map_or_else(|_| Vec::new(), |decision| self.store(decision)))
    }

    fn order(&mut self, again: bool) -> Result<Vec<Draft>, TestCaseError> {
        self.orders += 1;
        let order = ReprocessOrder {
            replay_id: replay_id(self.orders),
            again,
            schedule: &self.schedule,
        };
        let expected = self.model.order(order.replay_id, again, self.now);
        let decision = self.case.clone().reprocess(order, &origin(), self.now);
        self.obey(decision, expected)
    }

    fn end(&mut self, named: Named, outcome: AttemptOutcome) -> Vec<Draft> {
        let Some(id) = self.id(named) else {
            return Vec::new();
        };
        let was = self.incident_state();
        self.model.end(id, outcome, self.now);
        let retry = RetryContext {
            schedule: &self.schedule,
            jitter: Jitter::NONE,
            ended_at: self.now,
            answer_minutes: ANSWER,
        };
        let decision = self.case.clone().end_attempt(id, outcome, &retry, &origin());
        self.store_and_follow(was, decision)
    }

    /// A duplicate changes nothing, and names the fields in which it differs from the first.
    fn receive_again(&self, effect_type: EffectType) -> Result<Vec<Draft>, TestCaseError> {
        let facts = |effect_type| ReceiptFacts {
            event_type: "invoice.paid",
            effect_type,
            internal_reference: "customer-7",
        };
        let named = differs(&facts(self.first), &facts(effect_type));
        prop_assert_eq!(named.is_empty(), effect_type == self.first);
        Ok(Vec::new())
    }

    fn result(&mut self, effect: Effect, named: Option<ReplayId>) -> Result<Vec<Draft>, TestCaseError> {
        let report = EffectReport {
            effect,
            replay_id: named,
        };
        let decision = self
            .case
            .clone()
            .receive_result(report, INCIDENT, &origin(), self.now);
        prop_assert_eq!(decision.is_err(), named == Some(replay_id(255)));
        Ok(decision.map_or_else(
            |ForeignReplay| Vec::new(),
            |decision| {
                self.model.result(effect, named, self.now);
                self.store(decision)
            },
        ))
    }

    fn begin(&mut self, named: Named) -> Result<Vec<Draft>, TestCaseError> {
        let Some(id) = self.id(named) else {
            return Ok(Vec::new());
        };
        let begun = self.case.clone().begin_attempt(id);
        prop_assert_eq!(begun.is_some(), self.model.begin(id));
        self.case = begun.unwrap_or_else(|| self.case.clone());
        Ok(Vec::new())
    }

    fn incident_state(&self) -> Option<IncidentState> {
        self.case.incident.as_ref().map(|incident| incident.state)
    }

    /// A worker has decided; the server's own order goes with it.
    fn store_and_follow(&mut self, was: Option<IncidentState>, decision: Decision) -> Vec<Draft> {
        self.orders += 1;
        let order = StandingOrder {
            at_most: self.at_most,
            replay_id: replay_id(self.orders),
            schedule: &self.schedule,
        };
        let number = self.at_most.number();
        self.model.follow(was, number, order.replay_id, self.now);
        let decision = decision.and_follow(&order, &origin(), self.now);
        self.store(decision)
    }

    fn store(&mut self, decision: Decision) -> Vec<Draft> {
        self.case = decision.case;
        decision.entries
    }

    fn agree(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.case.event.state, self.model.event());
        let incident = self.case.incident.as_ref();
        let seen = incident.map(|found| (found.state, found.reason, found.opened_at, found.resolved_at));
        prop_assert_eq!(seen, self.model.incident());
        let replays = self.case.replays.iter().map(|replay| SeenReplay {
            id: replay.id,
            state: replay.state,
            attempts: replay.attempts,
            last_status: replay.last_status,
            next_attempt_at: replay.next_attempt_at,
            answer_due_at: replay.answer_due_at,
            unasked: replay.unasked,
        });
        prop_assert_eq!(replays.collect::<Vec<_>>(), self.model.replays());
        Ok(())
    }
}

/// What holds of every case that is stored.
fn must_hold(case: &Case, at_most: UnaskedOrders) -> Result<(), TestCaseError> {
    let unasked = case.replays.iter().filter(|replay| replay.unasked).count();
    prop_assert!(unasked <= at_most.number() as usize);
    let under_way = case.replays.iter().filter(|replay| replay.state.is_under_way());
    let under_way: Vec<_> = under_way.map(|replay| replay.id).collect();
    prop_assert!(under_way.len() <= 1, "one replay is under way at most");
    prop_assert_eq!(
        under_way.first(),
        case.replay_under_way().map(|replay| &replay.id)
    );
    prop_assert!(case.incident.is_some() || case.replays.is_empty());
    for replay in &case.replays {
        prop_assert_eq!(
            replay.next_attempt_at.is_some(),
            replay.state == ReplayState::Queued
        );
        prop_assert_eq!(
            replay.answer_due_at.is_some(),
            replay.state == ReplayState::Delivered
        );
    }
    let waits = case.event.state == EventState::Pending && case.incident.is_none();
    prop_assert_eq!(case.event.sweep_at, waits.then_some(case.event.timeout_at));
    if let Some(incident) = &case.incident {
        let resolved = incident.state == IncidentState::Resolved;
        prop_assert_eq!(incident.resolved_at.is_some(), resolved);
        prop_assert_eq!(resolved, case.event.state == EventState::Succeeded);
        let reprocessing = incident.state == IncidentState::Reprocessing;
        prop_assert_eq!(reprocessing, !under_way.is_empty());
    }
    Ok(())
}

/// What holds from one case to the next.
fn must_follow(before: &Case, after: &Case, entries: &[Draft]) -> Result<(), TestCaseError> {
    let state = |case: &Case| case.incident.as_ref().map(|incident| incident.state);
    let mut changes = vec![state(before), state(after)];
    if was_ordered_unasked(before, after)? {
        changes.insert(1, Some(IncidentState::Open));
    }
    let told: Vec<_> = entries.iter().map(|entry| entry.action).collect();
    let changes = changes.windows(2).filter_map(|pair| action_of(pair[0], pair[1]));
    prop_assert_eq!(
        told,
        changes.collect::<Vec<_>>(),
        "one entry for each change of an incident's state"
    );
    if before.event.state == EventState::Succeeded {
        prop_assert_eq!(&before.event, &after.event, "a success is final");
        prop_assert_eq!(&before.incident, &after.incident);
    }
    if let (Some(first), Some(now)) = (&before.incident, &after.incident) {
        prop_assert_eq!(
            (first.id, first.reason, first.opened_at),
            (now.id, now.reason, now.opened_at)
        );
    }
    prop_assert!(before.replays.len() <= after.replays.len());
    for (first, now) in before.replays.iter().zip(&after.replays) {
        prop_assert!(
            first.state.is_under_way() || first.state == now.state,
            "an end is final"
        );
        prop_assert_eq!(first.id, now.id);
    }
    Ok(())
}

/// Whether the server has ordered a replay by itself, which nothing but a clear refusal of the one before allows.
fn was_ordered_unasked(before: &Case, after: &Case) -> Result<bool, TestCaseError> {
    let ordered =
        after.replays.len() > before.replays.len() && after.replays.last().is_some_and(|new| new.unasked);
    if ordered {
        prop_assert_eq!(after.event.state, EventState::Pending);
        for ended in &after.replays[..before.replays.len()] {
            prop_assert!(ended.state == ReplayState::Exhausted && !ended.may_have_been_applied());
        }
    }
    Ok(ordered)
}

fn action_of(before: Option<IncidentState>, after: Option<IncidentState>) -> Option<Action> {
    match after {
        _ if before == after => None,
        Some(IncidentState::Open) if before.is_none() => Some(Action::IncidentOpened),
        Some(IncidentState::Open) => Some(Action::IncidentReopened),
        Some(IncidentState::Reprocessing) => Some(Action::IncidentReprocessed),
        Some(IncidentState::Resolved) => Some(Action::IncidentResolved),
        Some(IncidentState::Dismissed) => Some(Action::IncidentDismissed),
        None => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn code_and_model_agree_whatever_happens(all in happenings(), at_most in 0..=UnaskedOrders::MAX) {
        let at_most = at_most.to_string().parse().unwrap();
        let mut pair = Pair::received(EffectType::AccessUnlock, at_most);
        for happening in all {
            let before = pair.case.clone();
            let entries = pair.happen(happening)?;
            pair.agree()?;
            must_hold(&pair.case, at_most)?;
            must_follow(&before, &pair.case, &entries)?;
        }
    }
}

//! What becomes of an event that its provider has announced.

use proptest::prelude::*;

use super::super::*;
use super::story::*;

/// An event that was announced, and nothing else.
fn announced() -> Story {
    let mut story = Story::received();
    story.case.event = EventStatus::announced(story.case.event.id, START.plus_minutes(TIMEOUT));
    story
}

fn receipt(story: &mut Story) -> &mut Story {
    story.case.event = story
        .case
        .event
        .clone()
        .receive_receipt(story.now.plus_minutes(TIMEOUT));
    story
}

#[test]
fn an_announced_event_without_its_receipt_opens_an_incident_that_says_so() {
    let mut story = announced();
    story.wait(TIMEOUT).sweep().sweep();
    let incident = story.case.incident.as_ref().unwrap();
    assert_eq!(incident.reason, IncidentReason::MissingReceipt);
    assert_eq!(story.actions(), [Action::IncidentOpened]);
}

#[test]
fn the_time_of_a_result_counts_from_the_receipt() {
    let mut story = announced();
    story.wait(TIMEOUT - 1);
    receipt(&mut story).wait(TIMEOUT - 1).sweep();
    assert_eq!(story.case.incident, None);
    story.wait(1).sweep();
    assert_eq!(
        story.case.incident.as_ref().unwrap().reason,
        IncidentReason::Timeout
    );
}

#[test]
fn a_receipt_that_comes_after_its_incident_leaves_it_until_a_success() {
    let mut story = announced();
    story.wait(TIMEOUT).sweep();
    receipt(&mut story).wait(TIMEOUT).sweep();
    assert_eq!(story.incident(), IncidentState::Open);
    assert_eq!(story.case.event.sweep_at, None);
    story.success();
    assert_eq!(story.incident(), IncidentState::Resolved);
    assert_eq!(
        story.case.incident.as_ref().unwrap().reason,
        IncidentReason::MissingReceipt
    );
}

#[test]
fn a_result_without_a_receipt_counts_and_no_receipt_takes_it_back() {
    let mut story = announced();
    story.success();
    receipt(&mut story).wait(TIMEOUT).sweep();
    assert_eq!(story.case.event.state, EventState::Succeeded);
    assert_eq!(story.case.incident, None);
}

/// What is told of one event, by whom.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Told {
    Announcement,
    Receipt,
    Success,
}

/// What is stored after all of this came in this order. A result for an event that nobody knows is refused, and its
/// sender sends it again: it comes last.
fn stored(mut told: Vec<Told>) -> Case {
    let id = EventId::from_bytes([9; 16]);
    let due = START.plus_minutes(TIMEOUT);
    let mut event: Option<Case> = None;
    told.reverse();
    while let Some(next) = told.pop() {
        event = Some(match (next, event.take()) {
            (Told::Announcement, None) => Case::new(EventStatus::announced(id, due)),
            (Told::Receipt, None) => Case::new(EventStatus::pending(id, due)),
            (Told::Success, None) => {
                told.insert(0, next);
                continue;
            }
            (Told::Announcement, Some(case)) => case,
            (Told::Receipt, Some(mut case)) => {
                case.event = case.event.receive_receipt(due);
                case
            }
            (Told::Success, Some(case)) => {
                let report = EffectReport {
                    effect: Effect::Success,
                    replay_id: None,
                };
                case.receive_result(report, INCIDENT, &origin(), START)
                    .unwrap()
                    .case
            }
        });
    }
    event.unwrap()
}

proptest! {
    /// Announcement, receipt and result, each told once or more often, end in the same state in any order.
    #[test]
    fn in_whatever_order_an_event_is_told_of_it_ends_the_same(
        more in proptest::collection::vec(
            prop_oneof![Just(Told::Announcement), Just(Told::Receipt), Just(Told::Success)], 0..6),
        seed in any::<proptest::sample::Index>(),
        swaps in proptest::collection::vec((any::<proptest::sample::Index>(), any::<proptest::sample::Index>()), 0..9),
    ) {
        let mut told = vec![Told::Announcement, Told::Receipt, Told::Success];
        let expected = stored(told.clone());
        told.extend(more);
        let start = seed.index(told.len());
        told.rotate_left(start);
        for (one, other) in swaps {
            let (one, other) = (one.index(told.len()), other.index(told.len()));
            told.swap(one, other);
        }
        prop_assert_eq!(stored(told), expected);
    }

    /// Whenever the sweep comes by, there is one incident at most, its reason is what was missing then, and an
    /// event that is still swept has none.
    #[test]
    fn what_was_missing_at_the_sweep_is_the_reason(
        told in proptest::collection::vec((0..5_u8, 0..=TIMEOUT), 0..12),
    ) {
        let mut story = announced();
        for (what, minutes) in told {
            story.wait(minutes);
            let (before, had_receipt) = (story.case.incident.clone(), story.case.event.has_receipt);
            match what {
                0 => { receipt(&mut story); }
                1 => { story.success(); }
                2 => { story.result(Effect::Failed, None); }
                _ => { story.sweep(); }
            }
            if let (None, Some(opened)) = (&before, &story.case.incident) {
                let expected = match (what, had_receipt) {
                    (2, _) => IncidentReason::Failed,
                    (_, true) => IncidentReason::Timeout,
                    (_, false) => IncidentReason::MissingReceipt,
                };
                prop_assert_eq!(opened.reason, expected);
            }
            prop_assert!(story.case.event.sweep_at.is_none() || story.case.incident.is_none());
        }
    }
}

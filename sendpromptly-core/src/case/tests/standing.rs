//! What the server orders without being asked, and what it leaves to people.

use super::super::*;
use super::story::*;
use crate::audit::Actor;

/// Every attempt of the latest replay is answered with this status, until none is left.
fn exhaust(story: &mut Story, with: u16) {
    let replay = story.latest().id;
    while story.latest().id == replay && story.replay() == ReplayState::Queued {
        story.attempt(status(with));
    }
}

#[test]
fn unless_the_project_says_so_a_time_out_waits_for_a_person() {
    let story = Story::unasked("0");
    assert_eq!(story.incident(), IncidentState::Open);
    assert!(story.case.replays.is_empty());
}

#[test]
fn a_time_out_is_reprocessed_in_the_same_step_that_opens_its_incident() {
    let story = Story::unasked("1");
    assert_eq!(story.incident(), IncidentState::Reprocessing);
    assert_eq!(
        (story.replay(), story.latest().unasked),
        (ReplayState::Queued, true)
    );
    assert_eq!(story.latest().next_attempt_at, Some(story.now));
    assert_eq!(
        story.actions(),
        [Action::IncidentOpened, Action::IncidentReprocessed]
    );
    let told = &story.entries[1];
    assert_eq!(told.actor, Actor::System("test"));
    assert!(
        told.details.contains(&replay_id(101).to_string()),
        "{}",
        told.details
    );
    assert!(told.details.contains(r#""unasked":"1""#), "{}", told.details);
}

#[test]
fn a_sweep_that_comes_a_second_time_orders_nothing() {
    let mut story = Story::unasked("3");
    story.sweep().wait(TIMEOUT).sweep();
    assert_eq!(story.case.replays.len(), 1);
}

#[test]
fn a_success_resolves_it_as_it_does_after_an_order_of_a_person() {
    let mut story = Story::unasked("1");
    story.attempt(answer_with(200, Effect::Success));
    assert_eq!(story.incident(), IncidentState::Resolved);
    assert_eq!(story.replay(), ReplayState::Succeeded);
}

#[test]
fn it_is_ordered_anew_where_the_endpoint_itself_turned_it_away_each_time_and_at_most_so_often() {
    for (at_most, orders) in [("1", 1), ("2", 2), ("3", 3)] {
        let mut story = Story::unasked(at_most);
        for _ in 0..5 {
            exhaust(&mut story, 500);
        }
        assert_eq!(story.case.replays.len(), orders);
        assert_eq!(story.incident(), IncidentState::Open, "then a person must look");
        let reprocessed = |action: &&Action| **action == Action::IncidentReprocessed;
        assert_eq!(story.actions().iter().filter(reprocessed).count(), orders);
    }
}

/// Of a repair that is in doubt an endpoint says 503, and 502 and 504 say nothing of what became of it.
#[test]
fn an_answer_that_leaves_open_whether_it_was_applied_is_left_to_a_person() {
    for unclear in [502, 503, 504] {
        let mut story = Story::unasked("3");
        exhaust(&mut story, unclear);
        assert_eq!(story.case.replays.len(), 1, "{unclear}");
        assert_eq!(story.incident(), IncidentState::Open);
    }
}

/// One attempt may have been applied behind a gateway that gave up, whatever the endpoint says of the next.
#[test]
fn one_unclear_answer_among_clear_ones_leaves_it_to_a_person() {
    for unclear in [502, 503, 504] {
        for clear_before in 0..5 {
            let mut story = Story::unasked("3");
            for _ in 0..clear_before {
                story.attempt(status(500));
            }
            story.attempt(status(unclear));
            exhaust(&mut story, 500);
            assert_eq!(story.replay(), ReplayState::Exhausted);
            assert_eq!(story.case.replays.len(), 1, "{unclear} after {clear_before}");
        }
    }
}

#[test]
fn what_may_have_been_applied_is_never_repeated_without_a_person() {
    let mut unanswered = Story::unasked("3");
    unanswered.attempt(status(200)).wait(ANSWER).miss_answer();
    assert_eq!(unanswered.replay(), ReplayState::Unanswered);
    let mut lost = Story::unasked("3");
    lost.attempt(AttemptOutcome::NetworkError);
    exhaust(&mut lost, 500);
    let mut cut_off = Story::unasked("3");
    cut_off.attempt(AttemptOutcome::CutOff);
    exhaust(&mut cut_off, 500);
    for story in [unanswered, lost, cut_off] {
        assert!(story.latest().may_have_been_applied());
        assert_eq!(story.case.replays.len(), 1);
        assert_eq!(story.incident(), IncidentState::Open);
    }
}

#[test]
fn a_failure_and_a_refusal_are_never_repeated_unasked() {
    let mut failed = Story::unasked("3");
    failed.attempt(answer_with(200, Effect::Failed));
    let mut halted = Story::unasked("3");
    halted.attempt(status(404));
    let mut also_failed = Story::unasked("3");
    also_failed.result(Effect::Failed, None);
    exhaust(&mut also_failed, 500);
    for story in [failed, halted, also_failed] {
        assert_eq!(story.case.replays.len(), 1);
        assert_eq!(story.incident(), IncidentState::Open);
    }
}

#[test]
fn an_incident_that_a_failure_opened_is_left_to_a_person() {
    let mut story = Story::received();
    story.at_most = "3".parse().unwrap();
    story.result(Effect::Failed, None).wait(TIMEOUT).sweep();
    assert_eq!(story.incident(), IncidentState::Open);
    assert!(story.case.replays.is_empty());
}

#[test]
fn a_payment_without_a_receipt_is_left_to_a_person() {
    let mut story = Story::received();
    story.at_most = "3".parse().unwrap();
    story.case.event.has_receipt = false;
    story.wait(TIMEOUT).sweep();
    assert_eq!(story.incident(), IncidentState::Open);
    assert!(story.case.replays.is_empty());
}

#[test]
fn once_a_person_has_taken_it_in_hand_the_server_orders_no_more() {
    let mut dismissed = Story::unasked("3");
    dismissed.attempt(status(404)).dismiss().unwrap();
    dismissed.wait(TIMEOUT).sweep();
    assert_eq!(dismissed.incident(), IncidentState::Dismissed);
    dismissed.reopen().unwrap().wait(TIMEOUT).sweep();
    assert_eq!(dismissed.case.replays.len(), 1);

    let mut ordered = Story::overdue();
    ordered.at_most = "3".parse().unwrap();
    ordered.order(1).unwrap();
    exhaust(&mut ordered, 500);
    assert_eq!(ordered.case.replays.len(), 1);
    assert_eq!(ordered.incident(), IncidentState::Open);
}

#[test]
fn each_order_of_an_incident_has_a_key_that_no_person_can_give() {
    let first = Story::unasked("3");
    let mut second = Story::unasked("3");
    exhaust(&mut second, 500);
    let mut other = Story::unasked("3");
    other.case.incident.as_mut().unwrap().id = IncidentId::from_bytes([2; 16]);
    let keys = [&first, &second, &other].map(|story| story.case.unasked_order_digest().unwrap());
    assert_eq!(
        first.case.unasked_order_digest(),
        Some(keys[0]),
        "the same each time"
    );
    assert!(keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2]);
    assert_eq!(Story::reprocessing().case.unasked_order_digest(), None);
    assert_eq!(Story::received().case.unasked_order_digest(), None);
    assert!(format!("unasked {INCIDENT} 1").parse::<OrderKey>().is_err());
}

//! Orders to reprocess, and how replays end.

use std::time::Duration;

use super::super::*;
use super::story::*;

#[test]
fn an_order_makes_one_replay_that_is_due_at_once() {
    let story = Story::reprocessing();
    assert_eq!(story.incident(), IncidentState::Reprocessing);
    assert_eq!(story.replay(), ReplayState::Queued);
    assert_eq!(story.next_in(), Some(Duration::ZERO));
    assert_eq!(
        story.actions(),
        [Action::IncidentOpened, Action::IncidentReprocessed]
    );
    assert!(story.entries[1].details.contains(&replay_id(1).to_string()));
}

#[test]
fn another_order_while_one_is_under_way_is_refused() {
    for mut story in [Story::reprocessing(), Story::delivered()] {
        assert_eq!(story.order_again(2).err(), Some(Refusal::UnderWay(replay_id(1))));
    }
}

#[test]
fn an_incident_that_is_resolved_or_dismissed_or_absent_is_not_reprocessed() {
    let mut resolved = Story::overdue();
    resolved.success();
    let mut dismissed = Story::overdue();
    dismissed.dismiss().unwrap();
    for (mut story, refusal) in [
        (Story::received(), Refusal::NoIncident),
        (resolved, Refusal::Resolved),
        (dismissed, Refusal::Dismissed),
    ] {
        assert_eq!(story.order_again(1).err(), Some(refusal));
    }
}

#[test]
fn a_success_ends_a_replay_under_way_and_no_further_call_is_made() {
    for named in [None, Some(1)] {
        let mut story = Story::reprocessing();
        story.result(Effect::Success, named);
        assert_eq!(story.replay(), ReplayState::Succeeded);
        assert_eq!(story.next_in(), None);
        assert_eq!(story.case.begin_attempt(replay_id(1)), None);
    }
}

#[test]
fn its_own_failure_ends_it_and_opens_the_incident_again() {
    let mut story = Story::delivered();
    story.result(Effect::Failed, Some(1));
    assert_eq!(story.replay(), ReplayState::Failed);
    assert_eq!(story.incident(), IncidentState::Open);
    assert_eq!(story.latest().answer_due_at, None);
    assert!(story.entries[2].details.contains("\"replay_state\":\"failed\""));
}

#[test]
fn a_failure_without_replay_id_or_with_an_older_replays_says_nothing_of_the_one_under_way() {
    let mut story = Story::reprocessing();
    story.attempt(status(404)).order(2).unwrap();
    for named in [None, Some(1)] {
        story.result(Effect::Failed, named);
        assert_eq!(story.replay(), ReplayState::Queued);
        assert_eq!(story.incident(), IncidentState::Reprocessing);
    }
}

#[test]
fn a_late_result_leaves_an_ended_replay_as_it_is() {
    let mut story = Story::delivered();
    story.wait(ANSWER).miss_answer();
    story.result(Effect::Failed, Some(1));
    assert_eq!(story.replay(), ReplayState::Unanswered);
    story.result(Effect::Success, Some(1));
    assert_eq!(story.replay(), ReplayState::Unanswered);
    assert_eq!(story.incident(), IncidentState::Resolved);
}

#[test]
fn a_delivered_replay_that_brings_no_result_in_time_opens_the_incident_again() {
    let mut story = Story::delivered();
    assert_eq!(story.latest().answer_due_at, Some(story.now.plus_minutes(ANSWER)));
    story.wait(ANSWER);
    story.now = story.now.plus_millis(-1);
    story.miss_answer();
    assert_eq!(story.replay(), ReplayState::Delivered);

    story.now = story.now.plus_millis(1);
    story.miss_answer();
    assert_eq!(story.replay(), ReplayState::Unanswered);
    assert_eq!(story.incident(), IncidentState::Open);
    assert_eq!(story.actions().last(), Some(&Action::IncidentReopened));
}

#[test]
fn after_an_unanswered_replay_the_operator_must_say_again() {
    let mut story = Story::delivered();
    story.wait(ANSWER).miss_answer();
    let refusal = Refusal::MayHaveBeenApplied(replay_id(1));
    assert_eq!(story.order(2).err(), Some(refusal));
    story.dismiss().unwrap().reopen().unwrap();
    assert_eq!(story.order(2).err(), Some(refusal), "a dismissal forgets nothing");
    assert!(story.order_again(2).is_ok());
}

#[test]
fn after_a_doubtful_attempt_a_halted_or_exhausted_replay_needs_it_too() {
    for doubtful in [AttemptOutcome::NetworkError, AttemptOutcome::CutOff] {
        for last in [status(410), AttemptOutcome::NetworkError] {
            let mut story = Story::reprocessing();
            story.attempt(doubtful);
            while story.replay() == ReplayState::Queued {
                story.attempt(last);
            }
            let refusal = Refusal::MayHaveBeenApplied(replay_id(1));
            assert_eq!(story.order(2).err(), Some(refusal));
        }
    }
}

#[test]
fn after_a_clear_refusal_or_its_own_failure_it_does_not() {
    for outcome in [
        status(404),
        AttemptOutcome::Refused,
        AttemptOutcome::PayloadGone,
        answer_with(200, Effect::Failed),
    ] {
        let mut story = Story::reprocessing();
        story.attempt(outcome);
        assert!(story.order(2).is_ok(), "{outcome:?}");
    }
    let mut exhausted = Story::reprocessing();
    (0..5).for_each(|_| {
        exhausted.attempt(status(500));
    });
    assert!(exhausted.order(2).is_ok());
}

/// Stores sort replays by ids that bear the time; two nodes' clocks may differ.
#[test]
fn a_replay_under_way_counts_wherever_it_stands() {
    let mut story = Story::reprocessing();
    story.attempt(status(404)).order(2).unwrap();
    story.case.replays.reverse();
    assert_eq!(story.order(3).err(), Some(Refusal::UnderWay(replay_id(2))));
    story.end(replay_id(2), status(404));
    assert_eq!(story.incident(), IncidentState::Open);
    assert!(
        story
            .entries
            .last()
            .unwrap()
            .details
            .contains(&replay_id(2).to_string())
    );
}

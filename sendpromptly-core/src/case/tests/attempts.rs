//! What follows an attempt.

use std::time::Duration;

use super::super::*;
use super::story::*;
use crate::replay::RetrySchedule;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn three_hundreds_four_hundreds_a_forbidden_address_and_a_payload_that_is_gone_halt_at_once() {
    let codes = [100, 301, 302, 307, 400, 401, 404, 409, 410, 429, 499, 600];
    let answers = codes.map(status);
    let without = [AttemptOutcome::Refused, AttemptOutcome::PayloadGone];
    for outcome in answers.into_iter().chain(without) {
        let mut story = Story::reprocessing();
        story.attempt(outcome);
        assert_eq!(story.replay(), ReplayState::Halted, "{outcome:?}");
        assert_eq!(story.incident(), IncidentState::Open);
        assert_eq!(story.next_in(), None);
    }
}

#[test]
fn network_errors_and_five_hundreds_go_again_by_the_schedule_and_then_exhaust_it() {
    for outcome in [
        status(500),
        status(503),
        status(599),
        AttemptOutcome::NetworkError,
    ] {
        let mut story = Story::reprocessing();
        for minutes in [1, 10, 60, 360] {
            story.attempt(outcome);
            assert_eq!(story.next_in(), Some(minutes * MINUTE));
            story.wait(minutes);
        }
        story.attempt(outcome);
        assert_eq!(story.replay(), ReplayState::Exhausted);
        assert_eq!(story.latest().attempts, 5);
        assert_eq!(story.incident(), IncidentState::Open);
    }
}

#[test]
fn retry_after_lengthens_a_step() {
    let mut story = Story::reprocessing();
    story.attempt(AttemptOutcome::Answered {
        status: 503,
        retry_after: Some(3 * MINUTE),
        effect: None,
    });
    assert_eq!(story.next_in(), Some(3 * MINUTE));
}

#[test]
fn the_last_status_is_null_after_a_network_error() {
    let mut story = Story::reprocessing();
    story.attempt(status(502));
    assert_eq!(story.latest().last_status, Some(502));
    story.attempt(AttemptOutcome::NetworkError);
    assert_eq!(story.latest().last_status, None);
}

#[test]
fn two_cut_offs_in_a_row_go_again_at_once_and_cost_no_step() {
    let mut story = Story::reprocessing();
    for number in 1..=2 {
        story.attempt(AttemptOutcome::CutOff);
        assert_eq!(story.latest().attempts, number);
        assert_eq!(story.next_in(), Some(Duration::ZERO));
    }
    story.attempt(status(500));
    assert_eq!(story.next_in(), Some(MINUTE), "the first step");
}

#[test]
fn from_the_third_in_a_row_each_costs_a_step() {
    let mut story = Story::reprocessing();
    story
        .attempt(AttemptOutcome::CutOff)
        .attempt(AttemptOutcome::CutOff);
    for minutes in [1, 10, 60, 360] {
        story.attempt(AttemptOutcome::CutOff);
        assert_eq!(story.next_in(), Some(minutes * MINUTE));
    }
    story.attempt(AttemptOutcome::CutOff);
    assert_eq!(story.replay(), ReplayState::Exhausted);
}

#[test]
fn an_attempt_that_was_not_cut_off_ends_the_row() {
    let mut story = Story::reprocessing();
    for outcome in [status(500), AttemptOutcome::NetworkError] {
        story
            .attempt(AttemptOutcome::CutOff)
            .attempt(AttemptOutcome::CutOff);
        story.attempt(outcome).attempt(AttemptOutcome::CutOff);
        assert_eq!(story.next_in(), Some(Duration::ZERO));
        story.attempt(outcome);
    }
}

#[test]
fn a_result_that_comes_with_the_answer_is_the_replays_own() {
    let mut failed = Story::reprocessing();
    failed.attempt(answer_with(200, Effect::Failed));
    assert_eq!(failed.replay(), ReplayState::Failed);
    assert_eq!(failed.case.event.state, EventState::Failed);
    assert_eq!(failed.incident(), IncidentState::Open);

    let mut success = Story::reprocessing();
    success.attempt(answer_with(204, Effect::Success));
    assert_eq!(success.replay(), ReplayState::Succeeded);
    assert_eq!(success.incident(), IncidentState::Resolved);
    assert_eq!(success.latest().last_status, Some(204));
}

#[test]
fn it_does_not_count_beside_another_status() {
    let mut story = Story::reprocessing();
    story.attempt(answer_with(500, Effect::Success));
    assert_eq!(story.replay(), ReplayState::Queued);
    story.attempt(answer_with(404, Effect::Success));
    assert_eq!(story.replay(), ReplayState::Halted);
    assert_eq!(story.case.event.state, EventState::Pending);
}

/// A node that came back too late saw a 2xx; the attempt that another node began meanwhile brings the result.
#[test]
fn a_result_with_the_answer_counts_for_a_replay_that_an_older_attempt_delivered() {
    let mut story = Story::reprocessing();
    story.attempt(AttemptOutcome::CutOff).begin();
    story.end(replay_id(1), status(200));
    assert_eq!(story.replay(), ReplayState::Delivered);
    story.end(replay_id(1), answer_with(200, Effect::Success));
    assert_eq!(story.replay(), ReplayState::Succeeded);
    assert_eq!(story.incident(), IncidentState::Resolved);
}

#[test]
fn a_success_with_the_answer_resolves_the_incident_of_a_replay_that_has_ended() {
    let mut story = Story::reprocessing();
    story.begin().result(Effect::Failed, Some(1));
    story.end(replay_id(1), answer_with(200, Effect::Success));
    assert_eq!(
        story.replay(),
        ReplayState::Failed,
        "a late result leaves it as it is"
    );
    assert_eq!(story.incident(), IncidentState::Resolved);
}

#[test]
fn a_result_may_come_before_the_callbacks_own_answer_whose_status_is_kept() {
    for (effect, state) in [
        (Effect::Success, ReplayState::Succeeded),
        (Effect::Failed, ReplayState::Failed),
    ] {
        let mut story = Story::reprocessing();
        story
            .begin()
            .result(effect, Some(1))
            .end(replay_id(1), status(200));
        assert_eq!(story.replay(), state);
        assert_eq!(story.latest().last_status, Some(200));
        assert_eq!(story.latest().answer_due_at, None);
    }
}

#[test]
fn a_late_outcome_of_an_older_replay_says_nothing_of_the_one_under_way() {
    let mut story = Story::reprocessing();
    story.begin().result(Effect::Failed, Some(1)).order(2).unwrap();
    story.end(replay_id(1), status(404));
    assert_eq!(story.replay(), ReplayState::Queued);
    assert_eq!(story.incident(), IncidentState::Reprocessing);
}

#[test]
fn an_outcome_of_a_replay_that_the_event_does_not_have_says_nothing() {
    let mut story = Story::reprocessing();
    let before = story.case.clone();
    story.end(replay_id(7), answer_with(200, Effect::Success));
    assert_eq!(story.case, before);
}

#[test]
fn a_schedule_that_was_shortened_meanwhile_exhausts_the_replay() {
    let mut story = Story::reprocessing();
    story.attempt(status(500)).attempt(status(500));
    story.schedule = RetrySchedule::new(&[Duration::ZERO]).unwrap();
    story.attempt(status(500));
    assert_eq!(story.replay(), ReplayState::Exhausted);
}

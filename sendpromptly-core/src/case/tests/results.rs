//! What a result does.

use super::super::*;
use super::story::*;

#[test]
fn a_success_needs_no_incident() {
    let mut story = Story::received();
    story.success();
    assert_eq!(story.case.event.state, EventState::Succeeded);
    assert_eq!((story.case.incident, story.entries.len()), (None, 0));
}

#[test]
fn a_failure_opens_the_incident_at_once() {
    let mut story = Story::received();
    story.result(Effect::Failed, None);
    let incident = story.case.incident.as_ref().unwrap();
    assert_eq!(incident.reason, IncidentReason::Failed);
    assert_eq!(incident.opened_at, START);
    assert_eq!(story.case.event.state, EventState::Failed);
    assert_eq!(story.actions(), [Action::IncidentOpened]);
}

#[test]
fn a_success_is_final() {
    let mut story = Story::received();
    story.success();
    let before = story.case.clone();
    story.result(Effect::Failed, None).wait(TIMEOUT).sweep();
    assert_eq!(story.case, before);
}

#[test]
fn a_success_resolves_the_incident_from_any_state() {
    let mut dismissed = Story::overdue();
    dismissed.dismiss().unwrap();
    for mut story in [
        Story::overdue(),
        Story::reprocessing(),
        Story::delivered(),
        dismissed,
    ] {
        story.wait(1).success();
        assert_eq!(story.incident(), IncidentState::Resolved);
        let incident = story.case.incident.as_ref().unwrap();
        assert_eq!(incident.resolved_at, Some(story.now));
        assert_eq!(story.actions().last(), Some(&Action::IncidentResolved));
    }
}

#[test]
fn reason_and_opening_time_stay_as_they_were_first() {
    let mut story = Story::overdue();
    let opened = story.case.incident.clone();
    story.wait(1).result(Effect::Failed, None);
    assert_eq!(story.case.incident, opened);
    assert_eq!(story.case.event.state, EventState::Failed);
}

#[test]
fn a_failure_leaves_a_dismissed_incident_dismissed() {
    let mut story = Story::overdue();
    story.dismiss().unwrap().result(Effect::Failed, None);
    assert_eq!(story.incident(), IncidentState::Dismissed);
}

#[test]
fn a_foreign_replay_is_refused_after_a_success_too() {
    let mut story = Story::overdue();
    story.success();
    for effect in [Effect::Success, Effect::Failed] {
        let report = EffectReport {
            effect,
            replay_id: Some(replay_id(7)),
        };
        let case = story.case.clone();
        let refused = case.receive_result(report, INCIDENT, &origin(), story.now);
        assert_eq!(refused, Err(ForeignReplay));
    }
}

//! What a time-out does.

use super::super::*;
use super::story::*;

#[test]
fn an_event_without_a_result_opens_its_incident_when_its_time_is_over() {
    let mut story = Story::received();
    story.wait(TIMEOUT);
    story.now = story.now.plus_millis(-1);
    story.sweep();
    assert_eq!(story.case.incident, None);

    story.now = story.now.plus_millis(1);
    story.sweep().sweep();
    let incident = story.case.incident.as_ref().unwrap();
    assert_eq!(incident.reason, IncidentReason::Timeout);
    assert_eq!(story.case.event.state, EventState::Pending, "its incident tells");
    assert_eq!(story.case.event.sweep_at, None);
    assert_eq!(story.actions(), [Action::IncidentOpened]);
}

#[test]
fn a_late_result_that_comes_before_the_sweep_opens_no_time_out() {
    let mut story = Story::received();
    story.wait(TIMEOUT + 1).success().sweep();
    assert_eq!(story.case.incident, None);
}

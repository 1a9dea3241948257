//! Dismissing and reopening.

use super::super::*;
use super::story::*;

#[test]
fn an_open_incident_is_dismissed_with_a_reason_and_opened_again() {
    let mut story = Story::overdue();
    story.dismiss().unwrap();
    assert_eq!(story.incident(), IncidentState::Dismissed);
    assert_eq!(story.entries[1].details, r#"{"reason":"refunded"}"#);
    story.reopen().unwrap();
    assert_eq!(story.incident(), IncidentState::Open);
    assert_eq!(
        story.actions(),
        [
            Action::IncidentOpened,
            Action::IncidentDismissed,
            Action::IncidentReopened
        ]
    );
}

#[test]
fn only_an_open_one_is_dismissed() {
    let mut resolved = Story::overdue();
    resolved.success();
    let mut dismissed = Story::overdue();
    dismissed.dismiss().unwrap();
    for (mut story, refusal) in [
        (Story::received(), Refusal::NoIncident),
        (Story::reprocessing(), Refusal::UnderWay(replay_id(1))),
        (Story::delivered(), Refusal::UnderWay(replay_id(1))),
        (resolved, Refusal::Resolved),
        (dismissed, Refusal::Dismissed),
    ] {
        assert_eq!(story.dismiss().err(), Some(refusal));
    }
}

#[test]
fn only_a_dismissed_one_is_reopened() {
    let mut resolved = Story::overdue();
    resolved.success();
    assert_eq!(Story::received().reopen().err(), Some(Refusal::NoIncident));
    for mut story in [Story::overdue(), Story::reprocessing(), resolved] {
        assert_eq!(story.reopen().err(), Some(Refusal::NotDismissed));
    }
}

//! The story ends as it should, and what must not happen does not.

// A test fails where it unwraps.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use embed_core::entropy;
use embed_core::monitor::{Monitor, MonitorError};
use sendpromptly_core::audit::Action;
use sendpromptly_core::case::{EffectReport, Refusal};
use sendpromptly_core::credential::SigningSecret;
use sendpromptly_core::id::EventId;
use sendpromptly_core::incident::IncidentState;
use sendpromptly_core::replay::{AttemptOutcome, Effect};
use sendpromptly_core::time::Timestamp;

const RECEIPT: &[u8] = br#"{"provider":"stripe","provider_event_id":"evt_1","event_type":"invoice.paid",
    "effect_type":"access_unlock","internal_reference":"customer-7","occurred_at":"2026-01-31T09:00:00Z"}"#;

fn start() -> Timestamp {
    Timestamp::parse("2026-01-31T09:30:00Z").unwrap()
}

fn monitor() -> Monitor {
    Monitor::new(SigningSecret::generate(entropy()), start())
}

/// A monitor with one overdue event, and the time.
fn overdue() -> (Monitor, EventId, Timestamp) {
    let monitor = monitor();
    let accepted = monitor.receive(b"k", RECEIPT, start()).unwrap();
    assert_eq!(monitor.sweep(accepted.timeout_at).len(), 1);
    (monitor, accepted.event, accepted.timeout_at)
}

fn incident(monitor: &Monitor, event: EventId) -> Option<IncidentState> {
    let tables = monitor.store.read();
    tables.events[&event]
        .case
        .incident
        .as_ref()
        .map(|incident| incident.state)
}

#[test]
fn the_program_tells_its_story_to_the_end() {
    let told = Command::new(env!("CARGO_BIN_EXE_embed-core")).output().unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{text}");
    assert!(text.contains("the incident is resolved"), "{text}");
    assert!(text.contains("whole up to entry 3"), "{text}");
}

#[test]
fn one_event_has_one_case_however_often_its_receipt_comes() {
    let monitor = monitor();
    let first = monitor.receive(b"k1", RECEIPT, start()).unwrap();
    let repeated = monitor.receive(b"k1", RECEIPT, start().plus_minutes(1)).unwrap();
    let again = monitor.receive(b"k2", RECEIPT, start().plus_minutes(2)).unwrap();
    assert_eq!(repeated, first);
    assert_eq!(
        (again.event, again.timeout_at, again.duplicate),
        (first.event, first.timeout_at, true)
    );
    let other = RECEIPT.to_ascii_uppercase();
    assert!(matches!(
        monitor.receive(b"k3", &other, start()),
        Err(MonitorError::Body(_))
    ));
    let spaced = [RECEIPT, b" "].concat();
    assert!(matches!(
        monitor.receive(b"k1", &spaced, start()),
        Err(MonitorError::Conflict)
    ));
}

#[test]
fn an_order_is_carried_out_once_and_another_is_refused() {
    let (monitor, event, now) = overdue();
    let key = "click".parse().unwrap();
    let replay = monitor.reprocess(event, &key, now).unwrap();
    assert_eq!(monitor.reprocess(event, &key, now).unwrap(), replay);
    let other = monitor.reprocess(event, &"click-2".parse().unwrap(), now);
    assert!(matches!(other, Err(MonitorError::Refused(Refusal::UnderWay(_)))));
    assert_eq!(
        monitor.store.read().audit.len(),
        2,
        "a refused order leaves nothing behind"
    );
}

#[test]
fn a_failed_call_goes_again_and_a_success_stops_it() {
    let (monitor, event, now) = overdue();
    let replay = monitor.reprocess(event, &"click".parse().unwrap(), now).unwrap();
    let call = monitor.begin_call(event, replay, now).unwrap().unwrap();
    assert_eq!(call.headers[3], ("x-sendpromptly-attempt", "1".to_owned()));
    assert!(call.headers[2].1.starts_with("v1="));
    monitor
        .end_call(event, replay, AttemptOutcome::NetworkError, now)
        .unwrap();
    assert!(
        monitor.begin_call(event, replay, now).unwrap().is_none(),
        "too early"
    );

    let later = now.plus_minutes(2);
    let second = monitor.begin_call(event, replay, later).unwrap().unwrap();
    assert_eq!(second.body, call.body);
    assert_ne!(second.headers[1], call.headers[1], "a nonce is never used twice");

    let report = EffectReport {
        effect: Effect::Success,
        replay_id: None,
    };
    monitor.result(event, report, later).unwrap();
    assert_eq!(incident(&monitor, event), Some(IncidentState::Resolved));
    assert!(
        monitor
            .begin_call(event, replay, later.plus_minutes(60))
            .unwrap()
            .is_none()
    );
    let last = monitor.store.read().audit.pop().unwrap();
    assert_eq!(last.action, Action::IncidentResolved.as_str());
}

#[test]
fn a_call_is_begun_once_and_one_that_was_cut_off_is_known_and_goes_again() {
    let (monitor, event, now) = overdue();
    let replay = monitor.reprocess(event, &"click".parse().unwrap(), now).unwrap();
    assert_eq!(monitor.calls_under_way(), []);
    assert!(monitor.begin_call(event, replay, now).unwrap().is_some());
    let later = now.plus_minutes(60);
    assert!(
        monitor.begin_call(event, replay, later).unwrap().is_none(),
        "under way"
    );
    assert_eq!(monitor.calls_under_way(), [(event, replay)]);
    assert_eq!(monitor.store.read().events[&event].case.replays[0].attempts, 1);

    // The program has died, and starts again.
    for (event, replay) in monitor.calls_under_way() {
        monitor
            .end_call(event, replay, AttemptOutcome::CutOff, now)
            .unwrap();
    }
    assert_eq!(monitor.calls_under_way(), []);
    let again = monitor.begin_call(event, replay, later).unwrap().unwrap();
    assert_eq!(again.headers[3], ("x-sendpromptly-attempt", "2".to_owned()));
}
